"""What the operators tell OpenLineage: which datasets they read and write, verdicts, and what a result came from.

Only the OpenLineage provider calls this, through `get_openlineage_facets_on_…` of an operator, so its packages are
needed only where it is installed (the extra `openlineage`). Nothing here holds a credential or names a user.

Datasets are named as the specification says (https://openlineage.io/docs/spec/naming): a table by its server and
`database.schema.table`; a staged object without the DAG run in its path, so that it is the same dataset every night.
Every operator has inputs, because for one without datasets the provider would take Airflow's assets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.openlineage.extractors import OperatorLineage
from attrs import define
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import RunFacet, data_quality_assertions_dataset, output_statistics_output_dataset

from irt.receipt import INPUT_COLUMNS
from irt.sql import statement
from irt.staging import ABILITIES, ANCHORS, FIT, ITEMS, RESPONSES, START

if TYPE_CHECKING:
    from irt.hooks.postgres import ArrowPostgresHook
    from irt.run import Run

_SOURCES = {"view": "attempt", "exam_results": "exam_results"}
_SEVERITIES = {"fail": "error", "warn": "warn"}
_DEFAULT_PORT = 5432
# What a publication copies, and where to: the names of publication.write_rows.
_LOADED = ("irt.load", "irt.load_item", "irt.load_ability")
_PUBLISHED = {
    "items": "mirt_item_params",
    "abilities": "mirt_ability",
    "fit_meta": "mirt_fit_meta",
    "question_meta": "question",
}


@define
class CalibrationRunFacet(RunFacet):
    """What a result was calculated by, and from.

    :ivar engine: as the service states it, as is its version; None where it does not.
    :ivar contract: the version that the service keeps to; None for a pod.
    :ivar inputsSha256: of the staged inputs, by name, as in `irt.receipt`.
    """

    bank: str
    runKey: str
    engine: str | None
    engineVersion: str | None
    contract: str | None
    inputsSha256: dict[str, str]


def of_extraction(database: ArrowPostgresHook, run: Run) -> OperatorLineage[Any, Any]:
    groups = [run.groups["table"]] if run.groups and run.groups["table"] else []
    return _lineage(_Tables(database).read(_SOURCES[run.source], *groups), _staged(OutputDataset, run, RESPONSES))


def of_anchors(database: ArrowPostgresHook, run: Run) -> OperatorLineage[Any, Any]:
    return _lineage(_Tables(database).read("question"), _staged(OutputDataset, run, ANCHORS, START))


def of_calibration(run: Run, receipt: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """:param receipt: of the result (`receipt.receipt_of`); None without one."""
    outputs = _staged(OutputDataset, run, ITEMS, ABILITIES, FIT) if receipt else []
    return _lineage(_staged(InputDataset, run, RESPONSES, ANCHORS, START), outputs, _facets(run, receipt))


def of_load(
    database: ArrowPostgresHook, run: Run, rows: Mapping[str, int], receipt: Mapping[str, Any] | None
) -> OperatorLineage[Any, Any]:
    """:param rows: how many were written to each table; empty if the load failed."""
    outputs = _Tables(database).written(rows)
    return _lineage(_staged(InputDataset, run, ITEMS, ABILITIES, FIT), outputs, _facets(run, receipt))


def of_check(database: ArrowPostgresHook, verdicts: Iterable[Mapping[str, Any]]) -> OperatorLineage[Any, Any]:
    """An assertion for each check.

    :param verdicts: rows of `irt.load_check`; empty if the load was not judged.
    """
    load, *rest = _Tables(database).read(*_LOADED)
    assertions = [_assertion(each) for each in verdicts]
    if assertions:
        facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=assertions)
        load.inputFacets = {"dataQualityAssertions": facet}
    return _lineage([load, *rest])


def of_publication(database: ArrowPostgresHook, done: Mapping[str, int]) -> OperatorLineage[Any, Any]:
    """:param done: the numbers of rows published, as the operators return them; empty if nothing was published."""
    tables = _Tables(database)
    written = {_PUBLISHED[name]: count for name, count in done.items() if name in _PUBLISHED}
    return _lineage(tables.read(*_LOADED), tables.written(written))


class _Tables:
    """The names of the tables behind a connection."""

    def __init__(self, database: ArrowPostgresHook) -> None:
        row = database.get_first(statement("session/place"))
        self._database, self._schema = row or (None, None)
        self._namespace = f"postgres://{_server(database)}"

    def read(self, *names: str) -> list[InputDataset]:
        """:param names: `table`, or `schema.table`."""
        return [InputDataset(self._namespace, self._full(name)) for name in names]

    def written(self, rows: Mapping[str, int]) -> list[OutputDataset]:
        """:param rows: how many were written, by table."""
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        return [
            OutputDataset(
                self._namespace, self._full(name), outputFacets={"outputStatistics": statistics(rowCount=count)}
            )
            for name, count in rows.items()
        ]

    def _full(self, name: str) -> str:
        schema, _, table = name.rpartition(".")
        return f"{self._database}.{schema or self._schema}.{table}"


def _server(database: ArrowPostgresHook) -> str:
    """Host and port, named as the provider does for other operators."""
    connection = database.connection
    if (connection.host or "/").startswith("/"):
        # A socket of this machine.
        return f"localhost:{connection.port or _DEFAULT_PORT}"
    return str(database.get_openlineage_authority_part(connection, _DEFAULT_PORT))


def _lineage(
    inputs: list[Any], outputs: list[Any] | None = None, facets: dict[str, Any] | None = None
) -> OperatorLineage[Any, Any]:
    return OperatorLineage(inputs=inputs, outputs=outputs or [], run_facets=facets or {})


def _staged(kind: Any, run: Run, *names: str) -> list[Any]:
    parts = urlsplit(run.staging)
    # Airflow writes a connection before the bucket: s3://connection@bucket/path.
    bucket = parts.netloc.rpartition("@")[2]
    namespace = "file" if parts.scheme == "file" else f"{parts.scheme}://{bucket}"
    folder = f"{parts.path.rstrip('/')}/bank={run.bank}"
    return [kind(namespace, f"{folder}/{name}".removeprefix("" if parts.scheme == "file" else "/")) for name in names]


def _facets(run: Run, receipt: Mapping[str, Any] | None) -> dict[str, Any]:
    if receipt is None:
        return {}
    facet = CalibrationRunFacet(
        bank=run.bank,
        runKey=run.run_key,
        engine=receipt["engine"],
        engineVersion=receipt["engine_version"],
        contract=receipt["contract"],
        inputsSha256={name: receipt[column] for name, column in INPUT_COLUMNS.items() if receipt[column]},
    )
    return {"irt_calibration": facet}


def _assertion(verdict: Mapping[str, Any]) -> Any:
    figure = verdict["figure"]
    return data_quality_assertions_dataset.Assertion(
        assertion=verdict["check_name"],
        name=verdict["check_name"],
        success=verdict["passed"],
        severity=_SEVERITIES[verdict["severity"]],
        expected=verdict["threshold"],
        actual=None if figure is None else str(figure),
    )
