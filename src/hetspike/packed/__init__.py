"""Files of trained and packed networks, and the integer engine that runs packed ones."""
