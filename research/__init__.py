"""Studies whose results stand in the docs as constants; nothing of the product imports them."""
