"""How what a vendor says today meets what is stored: restatements, price bases, versions of events."""
