"""What would be traded and when it would be left, as data."""
