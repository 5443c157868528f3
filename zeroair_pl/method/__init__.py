"""One fit: the paper's method, from a photo in memory to a restored one."""
