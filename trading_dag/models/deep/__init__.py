"""Networks: their layers, the loop that trains them, and the models made of them.

``torch`` is optional and slow to import, so modules that need it are imported inside functions. ``torch_library`` says
whether it is there.
"""
