"""The whole state of a home in one file, and back: what belongs to it, one moment of it, the archive, the return."""
