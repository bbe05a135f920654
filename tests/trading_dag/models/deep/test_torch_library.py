"""Where torch is absent the deep models are off, with the reason and the command that adds it."""

from __future__ import annotations

import pytest

from resources.doctor.installation import diagnose_installation
from trading_dag.errors import ConfigurationError
from trading_dag.models.deep import torch_library
from trading_dag.models.deep.torch_library import require_torch, why_deep_models_are_off
from trading_dag.settings import Settings


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_library, "find_spec", lambda name: None)


@pytest.mark.usefixtures("no_torch")
def test_an_environment_without_torch_says_what_is_off_and_what_adds_it() -> None:
    assert "make torch" in (why_deep_models_are_off() or "")
    with pytest.raises(ConfigurationError, match="switched off; make torch adds it"):
        require_torch()


@pytest.mark.usefixtures("no_torch")
def test_doctor_says_that_the_deep_models_are_off_and_does_not_fail_for_it(settings: Settings) -> None:
    (status,) = [part for part in diagnose_installation(settings, fast=True) if part.subject == "deep models"]
    assert (status.state, status.remedy) == ("off", "make torch")


def test_with_torch_nothing_is_off() -> None:
    pytest.importorskip("torch", reason="torch is not installed: make torch")
    assert why_deep_models_are_off() is None
    require_torch()


def test_what_was_off_for_want_of_torch_is_out_of_date_once_it_is_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets import models, spread

    monkeypatch.setattr(torch_library, "find_spec", lambda name: None)
    without = [entry.fingerprint(settings) for entry in (spread.spread_trunk, models.direction_classifier)]
    monkeypatch.setattr(torch_library, "find_spec", lambda name: object())
    trunk, direction = (entry.fingerprint(settings) for entry in (spread.spread_trunk, models.direction_classifier))
    assert trunk != without[0]
    assert direction == without[1]
