"""The pages, a module each: ``data`` from the reader to frames, figures from frames, ``render`` from both."""
