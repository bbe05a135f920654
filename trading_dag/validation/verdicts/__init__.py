"""The tables of scores: of folds, of recorded forecasts, of the Hull data, and of all of them counted together."""
