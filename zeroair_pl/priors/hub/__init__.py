"""Priors of others: which are known, how they are fetched, and how they are converted."""
