"""What is stored: slices as Parquet with their provenance, models, and the warehouse that SQL reads."""
