"""The configuration of a study: checks, rows, estimates and the sharing of files."""
