"""Published priors: the list of known ones, and how they are fetched and converted."""
