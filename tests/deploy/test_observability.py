"""The alerts and the dashboard: Prometheus can read them, each alert fires when it should, and they use only series
that exist."""

from __future__ import annotations

import re

import pytest
import yaml
from airflow.sdk._shared.observability.metrics.metrics_registry import MetricsRegistry

from irt import metrics
from irt.schedule import DEADLINE
from tests.deploy.manifests import DEPLOY, only, selects
from tests.deploy.test_airflow_network import open_ports
from tests.deploy.test_network import allowed
from tests.prometheus import OBSERVABILITY, RULES, alerts, dashboard, promtool, queries, rule_groups, used

TESTS = DEPLOY.parent / "tests" / "deploy" / "rules.test.yaml"
README = (OBSERVABILITY / "README.md").read_text()
NAMES = [rule["alert"] for rule in alerts()]


def test_prometheus_can_read_the_rules():
    assert f"SUCCESS: {len(NAMES)} rules found" in promtool("check", "rules", str(RULES))


def test_each_alert_fires_when_it_should():
    assert "SUCCESS" in promtool("test", "rules", str(TESTS))


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_tested(name):
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    cases = [case for test in tests for case in test.get("promql_expr_test", [])]
    fired = [sample["labels"] for case in cases for sample in case["exp_samples"]]
    assert any(f'alertname="{name}"' in labels for labels in fired)


@pytest.mark.parametrize("alert", alerts(), ids=NAMES)
def test_each_alert_says_what_happened_and_what_to_do(alert):
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page.endswith(str(OBSERVABILITY.relative_to(DEPLOY.parent) / "README.md"))
    assert anchor == alert["alert"].lower()
    section = re.search(rf"^### {alert['alert']}\n\n(\w+)\. ", README, re.MULTILINE)
    assert section and section[1].lower() == alert["labels"]["severity"]


def test_a_calibration_is_too_old_when_the_night_is_late():
    (rule,) = [each for each in alerts() if each["alert"] == "IrtCalibrationTooOld"]
    assert rule["expr"].endswith(f"> {24 + int(DEADLINE.total_seconds() // 3600)} * 3600")
    # The rule for missing figures takes over where this one has none left.
    (window,) = re.findall(r"\[(\d+h)\]", rule["expr"])
    (missing,) = [each for each in alerts() if each["alert"] == "IrtFiguresMissing"]
    assert f"[{window}]" in missing["expr"]


def test_the_operators_rules_are_the_same(builds):
    spec = only(builds["observability/operator"], "PrometheusRule")["spec"]
    assert spec == {"groups": rule_groups()}, "copy rules.yaml into operator/prometheus-rule.yaml"


def of_airflow() -> set[str]:
    """Airflow's own series, as statsd_exporter names them: a timer is a summary."""
    found = set()
    for each in MetricsRegistry()._metrics.values():
        name = "airflow_" + each["name"].replace(".", "_").replace("-", "_")
        found |= {name, f"{name}_sum", f"{name}_count"} if each["type"] == "timer" else {name}
    return found


def of_banks() -> set[str]:
    prefix = f"airflow.{metrics.PREFIX}".replace(".", "_")
    return {f"{prefix}_{name}" for name in (*metrics.GAUGES, *metrics.STEP_GAUGES)}


def test_airflows_series_exist():
    asked = {name for name in used() if name.startswith("airflow_")}
    assert len(asked) > 15
    assert asked <= of_airflow() | of_banks()


def test_every_figure_of_a_bank_is_shown_and_described():
    assert of_banks() <= used()
    for name in (*metrics.GAUGES, *metrics.STEP_GAUGES):
        assert f"`{name}`" in README


def test_the_dashboards_queries_can_be_read(tmp_path):
    rules = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(file))
    assert len(rules) > 25


def test_the_dashboard_is_whole():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24
        if panel["type"] == "row":
            continue
        # Whoever imports it chooses the Prometheus.
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"] and all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    known = {variable["name"] for variable in dashboard()["templating"]["list"]}
    asked = {name for panel in panels for target in panel.get("targets", []) for name in variables(target["expr"])}
    assert asked - {"__rate_interval"} <= known == {"datasource", "bank"}


def variables(expr: str) -> list[str]:
    return re.findall(r"\$\{?(\w+)", expr)


def test_no_panel_covers_another():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_chart_sends_tags():
    values = yaml.safe_load((OBSERVABILITY / "values.yaml").read_text())
    assert values["statsd"]["enabled"] is True
    assert values["config"]["metrics"] == {"statsd_influxdb_enabled": "True", "legacy_names_on": "False"}
    # Airflow sends nothing without it.
    assert "statsd" in (DEPLOY / "airflow" / "requirements.in").read_text().splitlines()


def test_the_job_of_the_service_is_named_as_in_the_rules(builds):
    (endpoint,) = only(builds["made/prometheus"], "ServiceMonitor")["spec"]["endpoints"]
    jobs = {
        job for expr in [*(rule["expr"] for rule in alerts()), *queries()] for job in re.findall(r'job="(.*?)"', expr)
    }
    assert {entry["replacement"] for entry in endpoint["relabelings"]} == jobs
    service = only(builds["made/prometheus"], "Service")
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    secret = endpoint["authorization"]["credentials"]
    assert secret["key"] in only(builds["made/prometheus"], "Secret", secret["name"])["data"]


PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
STATSD = {"tier": "airflow", "component": "statsd", "release": "airflow"}
TASK = {"tier": "airflow", "component": "worker", "release": "airflow"}


def test_prometheus_reaches_the_service_and_nobody_else_more_than_before(builds):
    made = builds["made/prometheus"]
    assert allowed(made, "Ingress", "monitoring", PROMETHEUS, 8000)
    assert allowed(made, "Ingress", "airflow", TASK, 8000)
    assert not allowed(made, "Ingress", "monitoring", {}, 8000)
    assert not allowed(made, "Ingress", "airflow", PROMETHEUS, 8000)
    assert not allowed(builds["base"], "Ingress", "monitoring", PROMETHEUS, 8000)


def test_metrics_go_from_airflow_to_the_exporter_and_to_prometheus(builds):
    policies = [o["spec"] for o in builds["observability/operator"] if o["kind"] == "NetworkPolicy"]
    assert open_ports(policies, "Egress", TASK, peer=STATSD) == {9125}
    assert open_ports(policies, "Ingress", STATSD, peer=TASK) == {9125}
    assert open_ports(policies, "Ingress", STATSD, namespace="monitoring", peer=PROMETHEUS) == {9102}
    assert open_ports(policies, "Ingress", STATSD, namespace="monitoring", peer={}) == set()
    collector = {"app.kubernetes.io/name": "opentelemetry-collector"}
    assert open_ports(policies, "Egress", TASK, namespace="monitoring", peer=collector) == {4318}
    monitor = only(builds["observability/operator"], "ServiceMonitor")["spec"]
    assert selects(monitor["selector"], STATSD)
