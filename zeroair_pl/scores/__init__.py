"""Scores of results: metrics, which files belong together, and tables."""
