"""The page in Airflow's UI: banks, their nights, single runs and items, as pictures and tables."""

ROUTE = "irt"
# Who may read this DAG may read the page.
DAG_ID = "irt_calibration_nightly"
