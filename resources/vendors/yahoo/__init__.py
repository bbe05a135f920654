"""Yahoo: daily and hourly bars, and the present option chain."""
