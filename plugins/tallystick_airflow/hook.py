"""The hook: opens the workspace that the environment names, or a connection of type `tallystick`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from tallystick.errors import TallystickError
from tallystick.settings import Settings

if TYPE_CHECKING:
    from tallystick.steps.workspace import Workspace

#: A connection's extra fields and the variables of the environment that they stand in for.
_VARIABLES: Final = {
    "home": "TALLYSTICK_HOME",
    "ledger": "TALLYSTICK_LEDGER",
    "msp": "TALLYSTICK_MSP",
    "user": "TALLYSTICK_USER",
}


class TallystickHook(BaseHook):
    """A connection's fields win over the environment; where there is no such connection, the environment
    alone decides."""

    conn_name_attr = "tallystick_conn_id"
    default_conn_name = "tallystick_default"
    conn_type = "tallystick"
    hook_name = "Tallystick"

    def __init__(self, tallystick_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.tallystick_conn_id = tallystick_conn_id

    def settings(self) -> Settings:
        """The settings in force. Raises `InvalidInput` for a variable or a field that cannot be used."""
        try:
            fields = self.get_connection(self.tallystick_conn_id).extra_dejson
        except AirflowNotFoundException:
            fields = {}
        given = {_VARIABLES[name]: value for name, value in fields.items() if name in _VARIABLES and value}
        return Settings.from_environment({**os.environ, **given})

    def get_conn(self) -> Workspace:
        """The workspace; who opens it closes it.

        Raises `CouldNotCheck` where there is no ledger, and `NotAsRecorded` for one that was taken back.
        """
        from tallystick.home.memory import require_latest
        from tallystick.wiring import open_workspace

        settings = self.settings()
        require_latest(settings)
        return open_workspace(settings)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the ledger opens, for the button of Airflow's connection page."""
        try:
            self.get_conn().close()
        except TallystickError as error:
            return False, error.message
        return True, "The ledger opens."
