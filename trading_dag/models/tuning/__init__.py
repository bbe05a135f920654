"""What can be searched for a learner, on which rows, and by which score. Nothing here keeps a trial or draws one.

``space`` describes what is searched, ``study`` names a search and its rows, ``classifiers`` scores a trial on purged
inner folds, and ``families`` is the registry: a line there makes a learner tunable.
"""
