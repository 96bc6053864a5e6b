"""Files of networks, and the integer engine that runs them."""
