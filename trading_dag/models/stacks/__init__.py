"""Stacks of learners that forecast a return: rows, out-of-fold forecasts, blends and their weights."""
