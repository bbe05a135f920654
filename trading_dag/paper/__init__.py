"""The paper account: orders, positions, marks, exits, cash, limits. Where it is kept is ``resources.brokers``'."""
