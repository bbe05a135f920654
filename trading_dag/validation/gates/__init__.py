"""What is decided by scores: whether forecasts may be acted on, and which version of a model serves."""
