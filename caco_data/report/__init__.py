"""The report: one self-contained HTML page about data sets, runs and evaluations."""
