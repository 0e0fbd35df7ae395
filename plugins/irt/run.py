"""A run: one bank in one DAG run. Its key names everything it makes."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import IO, Annotated, Any

from airflow.sdk import ObjectStoragePath
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from irt.bank import NAME, Bank, Checks, Levels, not_online
from irt.banks import Banks
from irt.errors import BadDataError
from irt.form import AS_CONFIGURED
from irt.own_checks import PlannedCheck
from irt.publication import Place
from irt.staging import INPUTS, in_folder, remove_all_but, remove_folder, run_folder, write_whole
from irt.strict import mistakes_of
from irt.verdicts import CHANGED


@cache
def _reader() -> TypeAdapter[Run]:
    return TypeAdapter(Run)


Version = Annotated[str, AfterValidator(not_online)]


@dataclass(frozen=True)
class Run:
    """What the tasks of one bank need to know; small, free of secrets, and pure JSON (it travels by XCom)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    run_key: str
    dag_run_id: str
    bank: Annotated[str, Field(pattern=NAME), AfterValidator(not_online)]
    staging: str
    window_start: str
    window_end: str
    topics: list[str]
    exams: list[int]
    model: str
    linking: dict[str, Any]
    minimum: dict[str, int]
    checks: dict[str, Any]
    attempt_policy: str
    max_responses: int
    dry_run: bool
    publish_question_meta: bool
    # Runs registered before these settings existed lack the fields from here on.
    runtime: str = "service"
    pod: dict[str, Any] = field(default_factory=dict)
    publish_as: Version = ""
    default_version: Version = ""
    banks: list[str] = field(default_factory=list)
    online_rows: str = "keep_newer"
    source: str = "view"
    legacy_service: bool = False
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The filters of all banks, to count the answers that belong to none; empty: another run counts them.
    all_filters: list[dict[str, list[Any]]] = field(default_factory=list)
    min_response_ms: int = 0
    hinted: str = "keep"
    not_reached: str = "keep"
    max_answers_per_user: int = 0
    groups: dict[str, Any] | None = None
    latent: str = "normal"
    levels: Levels = field(default_factory=list)
    own_checks: list[PlannedCheck] = field(default_factory=list)
    report_language: str = "en"
    start: str = "cold"

    @property
    def thresholds(self) -> dict[str, Any]:
        """The limits of the checks; the defaults for those that are newer than the run."""
        return Checks().model_dump(exclude={"severity"}) | {k: v for k, v in self.checks.items() if k != "severity"}

    @property
    def in_pod(self) -> bool:
        """Whether a pod calibrates it, by itself or on a Dask cluster."""
        return self.runtime in ("pod", "dask")

    @property
    def looks_for_changes(self) -> bool:
        """Whether the times of the answers are needed, to see which items changed."""
        action: str = self.verdicts.get(CHANGED, {}).get("action", "ignore")
        return action != "ignore"

    @property
    def place(self) -> Place:
        """Where the run's published rows go."""
        version = self.publish_as or self.bank
        return Place(self.bank, version, self.default_version or version, self.banks or [self.bank])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Run:
        """Read a run from XCom or the registry, where anybody may have changed it.

        :raise BadDataError: names the field and the value.
        """
        try:
            run = _reader().validate_json(json.dumps(fields), strict=True)
        except ValidationError as error:
            raise BadDataError(f"run: {'; '.join(mistakes_of(error))}") from None
        if run.run_key != f"{run.dag_run_id}/{run.bank}":
            raise BadDataError(f"run: run_key: {run.run_key!r} is not that of bank {run.bank!r} in {run.dag_run_id!r}")
        return run

    def staged(self, name: str) -> ObjectStoragePath:
        """The address of one of the run's staged objects, in the run's own folder."""
        return in_folder(self.staged_folder(), name)

    def write_staged(self, name: str, mode: str = "wb") -> AbstractContextManager[IO[Any]]:
        """Write one of the run's staged objects (see `staging.write_whole`)."""
        return write_whole(self.staged(name), mode)

    def remove_staged(self) -> bool:
        """Remove the run's folder of staged objects, with everything in it.

        :return: whether there was one.
        """
        return remove_folder(self.staged_folder())

    def remove_staged_result(self) -> bool:
        """Remove what is staged besides the inputs.

        :return: whether there was anything.
        """
        return remove_all_but(self.staged_folder(), INPUTS)

    def staged_folder(self) -> ObjectStoragePath:
        """The folder of the run's staged objects; it may not exist yet."""
        return run_folder(self.staging, dag_run_id=self.dag_run_id, bank=self.bank)


def window(end: datetime, lookback_days: int) -> tuple[datetime, datetime]:
    """The window of a run's answers: `[end - lookback_days, end)`."""
    return end - timedelta(days=lookback_days), end


def window_end(dag_run: Any) -> datetime:
    """The end of the data interval or, if a manual run has none, `run_after`; never the clock.

    :raise BadDataError: the interval ends after `run_after`; once published, it would supersede the coming nights.
    """
    end: datetime = dag_run.data_interval_end or dag_run.run_after
    if end > dag_run.run_after:
        raise BadDataError(
            f"data interval end: {end.isoformat()} is later than run_after {dag_run.run_after.isoformat()}"
        )
    return end


def plan_run(bank: Bank, *, banks: Banks, dag_run_id: str, end: datetime, staging: str, params: dict[str, Any]) -> Run:
    """Combine a bank's settings with those of the trigger form.

    :param banks: all banks of today's file.
    """
    # JSON Schema accepts 100.0 as an integer.
    start, end = window(end, int(params["lookback_days"] or bank.lookback_days))
    most = params["max_responses"]
    linking = bank.linking.model_dump(exclude_none=True)
    if params["linking_method"] != AS_CONFIGURED:
        linking["method"] = params["linking_method"]
    run = Run(
        run_key=f"{dag_run_id}/{bank.name}",
        dag_run_id=dag_run_id,
        bank=bank.name,
        staging=staging,
        window_start=start.isoformat(),
        window_end=end.isoformat(),
        topics=bank.topics,
        exams=bank.exams,
        model=bank.model,
        linking=linking,
        minimum=bank.minimum.model_dump(),
        checks=bank.checks.model_dump(),
        attempt_policy=bank.attempt_policy,
        max_responses=bank.max_responses if most is None else int(most),
        dry_run=params["dry_run"],
        publish_question_meta=params["publish_question_meta"] or bank.update_question_meta,
        runtime=bank.runtime,
        pod=bank.pod.model_dump(),
        publish_as=bank.version,
        default_version=banks.default.version,
        banks=list(banks),
        online_rows=bank.online_rows,
        source=bank.extract.source,
        legacy_service=bank.legacy_service,
        verdicts=bank.verdicts.model_dump(),
        # Only one run counts the answers that belong to no bank.
        all_filters=[each.filter for each in banks.values()] if bank is banks.default else [],
        min_response_ms=bank.min_response_ms,
        hinted=bank.hinted,
        not_reached=bank.not_reached,
        max_answers_per_user=bank.max_answers_per_user,
        groups=bank.groups.model_dump() if bank.groups else None,
        latent=bank.latent,
        levels=bank.levels,
        own_checks=banks.planned_checks(bank.name),
        report_language=bank.report_language,
        start=bank.start,
    )
    overridable = ("model", "runtime", "attempt_policy")
    chosen = {name: params[name] for name in overridable if params[name] != AS_CONFIGURED}
    return replace(run, **chosen)
