"""``python -m trading_dag.cli`` is ``trading-dag``."""

from trading_dag.cli import main

if __name__ == "__main__":
    main()
