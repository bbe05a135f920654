"""The IO managers with which Dagster loads and stores assets."""
