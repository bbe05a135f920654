"""The direction: the probability of a rise, and of UP where the move is clear."""
