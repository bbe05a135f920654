"""HTTP as the project speaks it: the client, its deadline and limits, the rate of a vendor, the cache, and reading
JSON answers."""
