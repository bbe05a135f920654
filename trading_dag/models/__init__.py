"""Forecasters, a room a family: ``fit(...)`` gives a frozen ``FittedModel``, ``predict(...)`` a predictions table.

``learning`` holds what all walk-forward classifiers do alike, from rows to the fitted folds and their forecasts;
``estimators`` what a fold is learnt with and stored as; ``deep`` the networks; ``stacks`` what all stacks of learners
do alike; ``tuning`` the searches. The families stand in ``direction``, ``volatility``, ``price``, ``allocation`` and
``spreads``. Storing and loading models is I/O and stands in ``resources.storage.models.store``.
"""
