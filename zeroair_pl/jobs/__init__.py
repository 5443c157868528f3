"""Restores a list of photos into a folder of results: reads, fits, writes, and records what is finished."""
