"""Guards and scores: look-ahead probing and walk-forward splits here; the rest in rooms.

``scores`` says how rows of each task are scored, ``inference`` how uncertain a score is, ``verdicts`` writes the tables
of scores, and ``gates`` decides by them what may be acted on or serve.
"""
