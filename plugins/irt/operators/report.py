"""The task that writes a run's report."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from irt.operators.base import RunOperator
from irt.run import Run
from irt.staging import ABILITIES, REPORT, RESPONSES, digest


class ReportOperator(RunOperator):
    """Counts the answers behind each item (`irt.load_item_answers`), and stages the report of the run's last load.

    It writes nothing that consumers read, and a second try writes the same.

    :return: the address of the report.
    :raise AirflowSkipException: the run has no result.
    """

    def execute(self, context: Any) -> str:
        from irt.page.reading import reading
        from irt.report.document import NothingToReportError, document

        run = self.parsed_run
        try:
            self._count_answers(run)
        except FileNotFoundError as error:
            self.log.warning("The answers behind the items are not counted: %s", error)
        try:
            with reading(self.postgres_conn_id) as reader:
                text = document(reader, run.run_key, run.report_language)
        except NothingToReportError as nothing:
            raise AirflowSkipException(str(nothing)) from None
        with run.write_staged(REPORT) as file:
            # Not in the encoding of the worker's locale.
            file.write(text.encode())
        address = str(run.staged(REPORT))
        self.log.info("Report of run %s: %s", run.run_key, address)
        return address

    def _count_answers(self, run: Run) -> None:
        import pyarrow as pa

        from irt.item_answers import item_answers

        rows = item_answers(run)
        staged = [digest(run.staged(name)) for name in (RESPONSES, ABILITIES)]
        with self.database.arrow_transaction() as transaction:
            found = transaction.row("report/load_to_report", {"run_key": run.run_key})
            if found is None:
                return
            load_id, *calibrated = found
            if any(known not in (None, each) for known, each in zip(calibrated, staged, strict=True)):
                # A cleared extraction, after which the calibration or the load failed.
                self.log.warning("The answers behind the items are not counted: load %s is of others", load_id)
                return
            transaction.execute("report/remove_item_answers", {"load_id": load_id})
            load = pa.repeat(pa.scalar(load_id, pa.int64()), rows.num_rows)
            transaction.append("load_item_answers", rows.append_column("load_id", load), schema="irt")
