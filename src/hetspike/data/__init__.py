"""Recordings of events, the frames made from them, and batches for networks."""
