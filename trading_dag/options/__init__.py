"""Option pricing, the modelled surface, structures and the choice of contracts. Knows no signals and no accounts."""
