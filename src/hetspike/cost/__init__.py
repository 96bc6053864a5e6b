"""The costs of a network: stored bits, operations and energy."""
