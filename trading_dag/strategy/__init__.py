"""From forecast to structure: which structure, how many contracts, and the row that explains it."""
