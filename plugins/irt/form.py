"""The trigger form of the nightly DAG: what a person may set for a run, with types and limits."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.sdk import Param

from irt.bank import ATTEMPT_POLICIES, LINKING_METHODS, MAX_LOOKBACK_DAYS, MAX_RESPONSES, MODELS, RUNTIMES

AS_CONFIGURED = "as configured"


def params(banks: Iterable[str]) -> dict[str, Param]:
    """The params of `irt_calibration_nightly`; the scheduled run takes the defaults."""
    names = list(banks)
    return {
        "banks": Param(
            names,
            type="array",
            items={"type": "string", "enum": names},
            examples=names,
            uniqueItems=True,
            minItems=1,
            title="Banks",
            description="Which banks of include/banks.yaml to calibrate.",
        ),
        "model": _override(MODELS, "Model", "Overrides the model of every chosen bank."),
        "lookback_days": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=MAX_LOOKBACK_DAYS,
            title="Days to look back",
            description=f"Empty: {AS_CONFIGURED}. The window is [end - days, end); end is the data interval's end or, "
            "without one, run_after.",
        ),
        "attempt_policy": _override(
            ATTEMPT_POLICIES,
            "Answer that counts",
            "If a user answered an item several times in the window: the first or the last answer. Overrides the "
            "setting of every chosen bank.",
        ),
        "max_responses": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=MAX_RESPONSES,
            title="Maximum responses",
            description=f"Empty: {AS_CONFIGURED}. 0: no limit. Otherwise at most this many responses per bank, the "
            "most recent ones.",
        ),
        "linking_method": _override(
            LINKING_METHODS, "Linking method", "Overrides how every chosen bank is linked to its anchors."
        ),
        "runtime": _override(
            RUNTIMES,
            "Where to calibrate",
            "Overrides, for every chosen bank, whether the service calibrates it, a separate pod (pod), or a pod on a "
            "Dask cluster (dask).",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Do everything up to the checks, but publish nothing.",
        ),
        "publish_question_meta": Param(
            False,
            type="boolean",
            title="Update question.meta",
            description="Also write the parameters to question.meta.irt, in the transaction of the publication; "
            "anchors keep theirs.",
        ),
    }


def _override(choices: Iterable[str], title: str, description: str) -> Param:
    """One of the choices, or the bank's own setting."""
    return Param(AS_CONFIGURED, type="string", enum=[AS_CONFIGURED, *choices], title=title, description=description)
