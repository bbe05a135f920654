"""Option pricing, the modelled surface, structures and the choice of contracts. Signals and accounts are not known
here."""
