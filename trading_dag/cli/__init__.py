"""The command line, ``trading-dag``."""

from trading_dag.cli.entry import main

__all__ = ["main"]
