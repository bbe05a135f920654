"""The price at a horizon: as a point (the stack) and as a distribution."""
