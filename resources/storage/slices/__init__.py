"""One stored slice: its place, its format, its record, and whether it is still what was stored."""
