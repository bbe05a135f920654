"""When things become known: publication lags, the schedule of releases, and the decisions of the FOMC."""
