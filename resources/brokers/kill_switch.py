"""The kill switch: a file, so that it outlives every process and holds for all of them. Who asks it is ``desk``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pandas as pd

from resources.storage.slices.format import replace_file
from trading_dag.errors import KillSwitchError

FILE_NAME: Final = "KILLED"


class KillSwitch:
    """Stops every order of the account in a folder while its file is there.

    Parameters
    ----------
    folder : of the account.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    @property
    def is_on(self) -> bool:
        """Return whether orders are stopped. What cannot be looked at counts as on."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    @property
    def reason(self) -> str:
        """Return since when and why orders are stopped, in words; empty where they are not."""
        if not self.is_on:
            return ""
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
            return f"{said['reason']} (since {said['at']})"
        except (OSError, ValueError, KeyError, TypeError):
            return f"{self.path} cannot be read, which counts as on"

    def turn_on(self, reason: str, *, at: pd.Timestamp) -> None:
        """Stop all orders from now on; a switch that is on keeps its first reason."""
        if self.is_on:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"reason": reason, "at": at.isoformat()}) + "\n"
        replace_file(self.path, lambda new: new.write_text(text, encoding="utf-8"))

    def turn_off(self) -> None:
        """Let orders pass again."""
        self.path.unlink(missing_ok=True)

    def demand_off(self, order_id: str) -> None:
        """Demand that orders may pass.

        Raises
        ------
        KillSwitchError : while they are stopped.
        """
        if self.is_on:
            raise KillSwitchError(order_id=order_id, rule=f"kill switch: {self.reason}; `trading-dag paper resume`")
