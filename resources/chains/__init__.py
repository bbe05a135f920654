"""Option chains by ticker and year: the store, and the import of other people's files."""
