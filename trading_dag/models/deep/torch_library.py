"""Whether torch is installed, which the deep models need and nothing else does; and what adds it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from trading_dag.errors import ConfigurationError
from trading_dag.setting_groups import DeepSettings

ADD_TORCH: Final = "make torch"
OFF_BY_SETTING: Final = "the deep models are switched off by TRADING_DAG_DEEP__ENABLED"


def why_deep_models_are_off() -> str | None:
    """The reason is returned why no deep model can be fitted or applied here, with the command that changes it; None
    where one can.

    torch itself is not imported for that: it takes seconds.
    """
    if find_spec("torch") is not None:
        return None
    return f"torch is not installed, so the deep models are switched off; {ADD_TORCH} adds it"


def why_networks_are_off(deep: DeepSettings) -> str | None:
    """The reason is returned why no network is trained: a setting, or torch that is missing; None where one can be."""
    return why_deep_models_are_off() if deep.enabled else OFF_BY_SETTING


def why_device_is_missing(device: str) -> str | None:
    """The reason is returned why torch cannot compute on a device here; None where it can."""
    if device == "cpu":
        return None
    import torch

    if torch.cuda.is_available():
        return None
    return f"torch finds no device {device!r} here; TRADING_DAG_DEEP__DEVICE=cpu"


def require_torch(device: str = "cpu") -> None:
    """Demand that torch is installed and has a device.

    Raises
    ------
    ConfigurationError : where it is not, or has not; says what adds it.
    """
    reason = why_deep_models_are_off() or why_device_is_missing(device)
    if reason is not None:
        raise ConfigurationError(reason)
