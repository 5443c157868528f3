"""The method itself: one fit, from a photo in memory to the restored photo."""
