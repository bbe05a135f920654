"""The volatility index: its level, its regime and its direction at a horizon; and the market states of the HMM."""
