"""Where bytes come from and live: vendor clients, the Parquet/DuckDB warehouse, the model store."""
