"""The source that asks vendors."""
