"""Where trials of a search over hyperparameters are kept, and the loop that makes them.

``journal`` keeps them in files that several processes append to, ``sampler`` draws parameters by trial number,
``search`` runs trials until a budget is used up, and ``stored`` reads them for the tables. Optuna is imported here and
nowhere else. What a trial computes stands in ``trading_dag.models.tuning``.
"""
