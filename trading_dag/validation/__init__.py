"""Guards and scores: look-ahead probing, walk-forward splits, baselines, metrics and their uncertainty."""
