"""What a network stores, computes and consumes."""
