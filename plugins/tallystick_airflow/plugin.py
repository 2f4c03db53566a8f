"""The plugin that brings the listener, for Airflow's entry point `airflow.plugins`."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tallystick_airflow import listener


class TallystickPlugin(AirflowPlugin):
    """Nothing but the listener: connection type, hook and operators come by the provider."""

    name = "tallystick"
    listeners = [listener]  # noqa: RUF012 - Airflow's own class has it as a list
