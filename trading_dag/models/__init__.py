"""Fitted models, one module a model: ``fit(...)`` gives a frozen ``FittedModel``, ``predict(...)`` a predictions table.

``fitted`` holds the frozen values; ``rows``, ``training`` and ``forecasting`` what all walk-forward classifiers
do alike.
Storing and loading models is I/O and stands in ``resources.storage.models.store``.
"""
