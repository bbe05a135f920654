"""Chains of quotes: their rules, cleaning, forwards, volatilities, exposures and the measures of a session."""
