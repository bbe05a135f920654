"""What is computed: pure functions and frozen settings for short-dated options research.

Nothing here knows Dagster, DuckDB, HTTP or the disk, except the composition root
(``definitions.py``) and the command line (``cli.py``), which put the packages together.
"""
