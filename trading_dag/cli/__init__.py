"""The command line, ``trading-dag``."""

from trading_dag.cli.commands import main

__all__ = ["main"]
