"""Volatility surfaces: modelled from an index, and fitted to a chain."""
