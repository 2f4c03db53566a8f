"""What the provider offers, for the entry point `apache_airflow_provider`; imports nothing of Airflow."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """The provider's description as `airflow/provider_info.schema.json` has it."""
    return {
        "package-name": "tallystick",
        "name": "Tallystick",
        "description": "Audited pipelines: every step leaves its record on a ledger, or fails.",
        "integrations": [
            {"integration-name": "Tallystick", "external-doc-url": "docs/airflow.md", "tags": ["software"]}
        ],
        "operators": [{"integration-name": "Tallystick", "python-modules": ["tallystick_airflow.operators"]}],
        "hooks": [{"integration-name": "Tallystick", "python-modules": ["tallystick_airflow.hook"]}],
        "connection-types": [
            {
                "connection-type": "tallystick",
                "hook-class-name": "tallystick_airflow.hook.TallystickHook",
                "hook-name": "Tallystick",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "port", "login", "password", "extra"]
                },
                "conn-fields": {
                    "home": {"label": "Home directory (TALLYSTICK_HOME)", "schema": _TEXT},
                    "ledger": {"label": "Ledger URL (TALLYSTICK_LEDGER)", "schema": _TEXT},
                    "msp": {"label": "MSP of the signer (TALLYSTICK_MSP)", "schema": _TEXT},
                    "user": {"label": "Enrolment id of the signer (TALLYSTICK_USER)", "schema": _TEXT},
                },
            }
        ],
    }
