"""What happened in a run, what was found, and what to do: a sentence or two for each."""

from __future__ import annotations

from irt.page.charts.base import Words
from irt.page.reading import Row
from irt.page.rendering import moment, number

_MOST_NAMED = 5


def sentences(run: Row, current: Row, t: Words) -> list[str]:
    """Three short paragraphs.

    :param run: see `data.run`.
    :param current: the bank's row of `page/banks`: what consumers read now.
    """
    return [_happened(run, current, t), _found(run, t), _to_do(run, t)]


def _happened(run: Row, current: Row, t: Words) -> str:
    figures = {
        "items": number(run["item_counts"]["items"] - run["item_counts"]["held"]), "at": moment(run["published_at"]),
        "users": number((run["model_spec"] or {}).get("n_users")), "state": t(run["state"]),
        "failed": ", ".join(_names(run, "fail")),
    }  # fmt: skip
    if run["published_at"]:
        first = t("Published at {at}: {items} items, abilities of {users} users.")
    elif run["state"] == "rejected":
        first = t("Rejected: these checks failed: {failed}. Nothing was published.")
    elif run["state"] == "superseded":
        first = t("Superseded: the bank had already published newer answers, so nothing was published.")
    elif run["state"] == "accepted":
        first = t("All checks passed. Nothing was published.")
    else:
        first = t("The state of the run is: {state}. It is not published.")
    return f"{first.format(**figures)} {_read_now(run, current, t)}"


def _read_now(run: Row, current: Row, t: Words) -> str:
    if current["published_run"] is None:
        return t("Consumers have no calibration of this bank yet.")
    read = {"run": current["published_run"], "at": moment(current["published_at"])}
    if current["published_load"] == run["load_id"]:
        return t("Consumers read this run.")
    if read["run"] == run["run_key"]:
        return t("Consumers read an earlier result of this run, published at {at}.").format(**read)
    return t("Consumers read run {run}, published at {at}.").format(**read)


def _found(run: Row, t: Words) -> str:
    counts, checks = run["item_counts"], _names(run, "warn")
    held, warned = ([row["item_id"] for row in run[name]] for name in ("held", "warned"))
    out = [row["item_id"] for row in run["anchors"] if not row["used"]]
    found = [
        (t("checks with a warning: {n} ({names})"), len(checks), checks),
        (t("held items: {n} ({names})"), counts["held"], held),
        (t("items with a warning: {n} ({names})"), counts["warned"], warned),
        (t("anchors left out: {n} ({names})"), len(out), out),
    ]
    told = [text.format(n=number(n), names=_first(names, n)) for text, n, names in found if n]
    people = run["people"] or {}
    if people.get("levels") and people["users_level_changed"]:
        told.append(t("users who change level: {n}").format(n=number(people["users_level_changed"])))
    return t("Found: {what}.").format(what="; ".join(told)) if told else t("Nothing else stood out.")


def _to_do(run: Row, t: Words) -> str:
    if run["settings"].get("dry_run"):
        return t("To do: nothing. A dry run is never published.")
    if run["state"] == "rejected" and not run["published_at"]:
        first = t("To do: read what the failed checks found.")
        then = t("Correct the answers and clear extract_responses, or publish the run with irt_publish_rejected.")
        return f"{first} {then}"
    if not run["published_at"] and run["state"] != "superseded":
        return t("To do: if a task of this run failed, read its log, and clear it once the cause is gone.")
    if _names(run, "warn") or run["held"] or run["warned"]:
        return t("To do: nothing is urgent. Look at the warnings and the held items when there is time.")
    return t("To do: nothing.")


def _names(run: Row, severity: str) -> list[str]:
    return [check["check_name"] for check in run["checks"] if not check["passed"] and check["severity"] == severity]


def _first(names: list[str], n: int) -> str:
    more = n - min(len(names), _MOST_NAMED)
    return ", ".join(names[:_MOST_NAMED]) + (f" … +{number(more)}" if more > 0 else "")
