"""A simulated market: every raw table as a pure function of the settings, the ticker and the last session.

Nothing here is market data. The underlyings share one market factor with stochastic variance and jumps and have parts
of their own; options, volatility indices, hourly and daily bars all come from the same paths and parameters, so what
one table says the others bear out. The bootstrap of real bars stands in ``bootstrap``. Typed frames with their
provenance are made in ``resources/sources/simulated.py``.
"""
