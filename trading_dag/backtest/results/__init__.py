"""What trades came to: figures, tables, exposures, and whether luck explains them."""
