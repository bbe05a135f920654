"""One client for each vendor: what is asked, and how its answers become rows."""
