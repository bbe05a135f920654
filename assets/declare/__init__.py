"""How an asset is declared, materialized, checked and drawn."""
