"""Structures of several legs as data: payoff, strikes, quotes, and what a structure looks like today."""
