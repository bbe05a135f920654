"""Whole backtests, from plans and markets to results."""
