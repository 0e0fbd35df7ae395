"""Describes the installed package to Airflow: the connection type of the calibration service, and its form.

Airflow finds it through the entry point `apache_airflow_provider`, so only in an installed wheel.
"""

from __future__ import annotations

from typing import Any

from irt.connection_type import CONNECTION_TYPE, HOOK_NAME

PACKAGE = "irt-calibration-airflow"


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": PACKAGE,
        "name": "IRT calibration",
        "description": "Nightly calibration of item banks (item response theory).",
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "irt.hooks.calibration.CalibrationHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"schema": "Scheme", "password": "Token"},
                    "placeholders": {
                        "host": "r-irt-plumber.seedtest.svc",
                        "port": "80",
                        "schema": "http or https",
                        "password": "the service's bearer token",
                    },
                },
                "conn-fields": {
                    "verify": {
                        "label": "Certificate authority",
                        "description": (
                            "Path, on workers and triggerer, to the certificate of the authority that signed the "
                            "service's. Empty: the system's authorities. `proxies` may be added below, as JSON."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
    }
