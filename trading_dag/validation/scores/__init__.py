"""The tasks, their metrics and their baselines."""
