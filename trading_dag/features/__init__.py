"""Feature tables: what was known at the close of each session, one module a table.

Every module is pure: frames in, one frame out, in the columns of ``trading_dag.schemas``. Loading,
storing and scheduling are elsewhere; what happens after the session is in ``trading_dag.labels``.
"""
