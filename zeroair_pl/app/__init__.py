"""The page of ``zeroair app``: a browser shows it, and this machine restores the photos that are dropped into it."""
