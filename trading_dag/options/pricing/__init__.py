"""Prices, Greeks and implied volatilities of single options."""
