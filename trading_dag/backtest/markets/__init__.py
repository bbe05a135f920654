"""What could be traded at which price: stored chains, the modelled surface, and what happens to the shares."""
