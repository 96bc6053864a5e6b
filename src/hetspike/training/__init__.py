"""Training of networks, and the linear baseline."""
