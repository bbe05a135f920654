"""Which pages there are, in the order of the menu. A page's module is imported when it is first opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final

from trading_dag.dashboard.page import PageContext


@dataclass(frozen=True)
class Page:
    """Describes one page.

    Attributes
    ----------
    title : in the menu and on top.
    path : in the address.
    module : in ``trading_dag.dashboard.views``, with a function ``render(context)``.
    icon : a Material symbol.
    uses_horizon : whether the user chooses a horizon on top of it.
    """

    title: str
    path: str
    module: str
    icon: str
    uses_horizon: bool = True

    def render(self, context: PageContext) -> None:
        """Show the page."""
        import_module(f"trading_dag.dashboard.views.{self.module}").render(context)


PAGES: Final = (
    Page("Today", "today", "today", ":material/today:"),
    Page("Options", "options", "options", ":material/show_chart:", uses_horizon=False),
    Page("Opportunities", "opportunities", "opportunities", ":material/format_list_numbered:"),
    Page("Backtests", "backtests", "backtests", ":material/history:"),
    Page("Models", "models", "models", ":material/model_training:"),
    Page("Drift and quality", "drift", "drift", ":material/monitor_heart:"),
    Page("Paper account", "paper", "paper", ":material/account_balance:", uses_horizon=False),
    Page("Data", "data", "data", ":material/database:", uses_horizon=False),
)
