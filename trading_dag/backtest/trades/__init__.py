"""From an entry to its exit: contracts, paths, exits, margin, the account."""
