"""A page."""

from trading_dag.dashboard.page import PageContext


def render(context: PageContext) -> None:
    """Show it."""
