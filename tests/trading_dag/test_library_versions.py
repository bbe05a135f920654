"""Versions of libraries that come under more than one distribution name."""

from __future__ import annotations

import pytest
import xgboost

from trading_dag.errors import ConfigurationError
from trading_dag.library_versions import library_version


def test_xgboost_is_found_under_whichever_distribution_brought_it() -> None:
    assert library_version("xgboost") == xgboost.__version__


def test_a_library_that_is_not_there_is_an_error_that_says_how_to_get_it() -> None:
    with pytest.raises(ConfigurationError, match="no-such-library is not installed: make install"):
        library_version("no-such-library")
