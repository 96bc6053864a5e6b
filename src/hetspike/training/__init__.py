"""Training of networks, and of the linear baseline."""
