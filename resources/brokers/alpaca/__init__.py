"""How Alpaca's paper API is spoken to: its address and failures, orders as it takes them, and its answers as ours."""
