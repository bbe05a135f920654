"""Where alerts are kept, and the channels by which they leave this machine."""
