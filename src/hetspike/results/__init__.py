"""What a study found: statistics, tables for people, figures, verdicts and the report."""
