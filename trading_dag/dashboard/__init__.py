"""The morning page: what is stored, shown in a browser. It reads, and computes nothing that is not computed elsewhere.

``app`` is the script that Streamlit runs for every session, ``server`` starts it behind ``gate``. ``views`` holds a
module for each page: pure functions from the reader to frames and from frames to figures, and a thin ``render``.
"""
