"""Inspection of any network: layers, operations, logits, numbers that are not finite."""
