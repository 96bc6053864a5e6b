"""Recordings of events, the frames made of them, and the batches that networks take."""
