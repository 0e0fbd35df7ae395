"""`./irt old-jobs`: lists CronJobs that still calibrate the old way. Changes nothing; needs only kubectl and Python.

Two calibrations in one night write the same tables, so suspend all of these before you turn the DAG on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.arguments import parse
from local.kubectl import KubectlError, get
from local.old_job_signs import signs

Object = dict[str, Any]

CLEAR, LEFT, FAILED = 0, 1, 2
_CLUSTER_ZONE = "the cluster's time zone, usually UTC"


@dataclass
class OldJob:
    """A CronJob or a running Job, and why it is taken for the old calibration."""

    object: Object
    signs: list[str]

    @property
    def kind(self) -> str:
        return self.object["kind"]

    @property
    def namespace(self) -> str:
        return self.place.partition("/")[0]

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]

    @property
    def suspended(self) -> bool:
        return self.object["spec"].get("suspend") is True

    @property
    def place(self) -> str:
        return _place(self.object)


def find(objects: list[Object], ignored: Sequence[str] = ()) -> list[OldJob]:
    """The old calibration's CronJobs, suspended or not, then its Jobs that have not ended.

    :param ignored: `namespace/name` of CronJobs and Jobs to leave out; a CronJob's own Jobs are left out with it.
    """
    objects = [each for each in objects if not {_place(each), *_makers(each)} & set(ignored)]
    cronjobs = [
        OldJob(each, found)
        for each in objects
        if each["kind"] == "CronJob"
        and (found := signs(each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]["template"]["spec"]))
    ]
    known = {job.place for job in cronjobs}
    jobs = [
        OldJob(each, found)
        for each in objects
        if each["kind"] == "Job" and not _ended(each) and (found := _signs_of_job(each, known))
    ]
    return sorted(cronjobs, key=lambda job: job.place) + sorted(jobs, key=lambda job: job.place)


def show(found: list[OldJob]) -> str:
    """One paragraph per job."""
    return "\n\n".join(_cronjob(job) if job.kind == "CronJob" else _job(job) for job in found)


def run(namespace: str | None, ignored: Sequence[str]) -> int:
    """Exit status: 0 if no old job is running or will run, 1 if one is or will, 2 if kubectl failed."""
    where, scope = (["-n", namespace], f"namespace {namespace}") if namespace else (["-A"], "any namespace")
    try:
        found = find(get("cronjobs,jobs", where), ignored)
    except KubectlError as error:
        print(f"irt: {error}", file=sys.stderr)
        return FAILED
    if not found:
        print(f"no CronJob or running Job of the old calibration in {scope}")
        return CLEAR
    print(show(found), end="\n\n")
    left = [job for job in found if not job.suspended]
    cronjobs, running = (sum(job.kind == kind for job in left) for kind in ("CronJob", "Job"))
    print(f"{len(found)} found; CronJobs not suspended: {cronjobs}; Jobs running: {running}")
    return LEFT if left else CLEAR


def _place(each: Object) -> str:
    return f"{each['metadata'].get('namespace', 'default')}/{each['metadata']['name']}"


def _makers(each: Object) -> list[str]:
    """The CronJob that created a Job, on schedule or by `kubectl create job --from`."""
    namespace = each["metadata"].get("namespace", "default")
    owners = each["metadata"].get("ownerReferences") or []
    return [f"{namespace}/{owner['name']}" for owner in owners if owner["kind"] == "CronJob"]


def _ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)


def _signs_of_job(job: Object, cronjobs: set[str]) -> list[str]:
    made_by = [f"made by the CronJob {maker}" for maker in _makers(job) if maker in cronjobs]
    return made_by or signs(job["metadata"]["name"], job["spec"]["template"]["spec"])


def _cronjob(job: OldJob) -> str:
    spec, status = job.object["spec"], job.object.get("status") or {}
    lines = [
        f"CronJob {job.place}: {'suspended' if job.suspended else 'NOT suspended'}",
        f"  schedule  {spec['schedule']} ({spec.get('timeZone') or _CLUSTER_ZONE})",
        f"  last run  {status.get('lastScheduleTime') or 'never'}"
        f"; last success {status.get('lastSuccessfulTime') or 'unknown'}",
        f"  listed    {'; '.join(job.signs)}",
    ]
    if not job.suspended:
        patch = """-p '{"spec":{"suspend":true}}'"""
        lines.append(f"  suspend   kubectl patch cronjob {job.name} -n {job.namespace} {patch}")
    return "\n".join(lines)


def _job(job: OldJob) -> str:
    started = (job.object.get("status") or {}).get("startTime")
    state = "suspended" if job.suspended else "RUNNING"
    return "\n".join(
        [
            f"Job {job.place}: {state}{f' since {started}' if started and not job.suspended else ''}",
            f"  listed    {'; '.join(job.signs)}",
        ]
        + ([] if job.suspended else [f"  await     kubectl get job {job.name} -n {job.namespace} --watch"])
    )


if __name__ == "__main__":
    given = parse(["old-jobs", *sys.argv[1:]])
    sys.exit(run(given.namespace, given.ignore))
