"""Noticing that the features have moved away from what a model was trained on, and deciding whether to retrain."""
