"""What a study found: statistics, tables, claims and their verdicts, figures, the report."""
