"""FRED: series with their vintages."""
