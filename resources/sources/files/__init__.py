"""The source that reads a user's folder."""
