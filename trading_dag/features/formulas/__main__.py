"""``python -m trading_dag.features.formulas`` writes the text of docs/features.md to standard output."""

from __future__ import annotations

import sys

from trading_dag.features.formulas.reference import feature_reference

sys.stdout.write(feature_reference())
