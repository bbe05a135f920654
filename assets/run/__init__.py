"""How slices are brought up to date: staleness, workers, claims, and how work is stopped."""
