"""Brokers behind one protocol, and the desk through which every order passes."""
