"""What models do alike: rows, candidates, walk-forward training, inner searches, fitted folds and their forecasts."""
