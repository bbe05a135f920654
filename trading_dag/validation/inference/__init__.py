"""How uncertain a score is, and how much of it is luck or choice."""
