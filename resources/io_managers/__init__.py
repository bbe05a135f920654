"""What Dagster loads and stores assets with."""
