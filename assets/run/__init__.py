"""How slices are brought up to date: staleness, workers, claims, and the stopping of work."""
