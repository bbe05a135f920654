"""What a fold is learnt with and stored as: learners, and the estimators that are our own types."""
