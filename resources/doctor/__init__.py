"""What doctor looks at: the source, the stored slices, the warehouse and the settings."""
