"""Calibration on a Dask cluster: its workers hold the answers and do what is done person by person.

The calibration itself runs where it was started, which also has the answers, in mapped files if they are large. It
cuts the persons into the same groups as on one machine; each group lies on one worker, which sums over its persons,
and the groups' sums are added here, in their order. So the result has the same bytes on any number of workers. If a
worker is lost, its groups go to the others, and only their last step is repeated.
"""
