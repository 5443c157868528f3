"""A list of photos into a folder of results: read, restore, write, and remember what is finished."""
