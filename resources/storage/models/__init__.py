"""Fitted models on disk, without pickle, and how many are kept."""
