"""The configuration of a study, and what follows from it."""
