"""Which credit spread the move will pay: networks on sequences, and a logistic regression beside them."""
