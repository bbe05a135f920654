"""How much of the account the underlying itself should hold."""
