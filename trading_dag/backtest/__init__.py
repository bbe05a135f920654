"""What the signals would have earned, with every assumption printed and every fill after its signal."""
