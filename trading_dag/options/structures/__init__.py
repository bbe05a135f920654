"""Structures of several legs as data: payoff, strikes, quotes, and an indication at a session's close."""
