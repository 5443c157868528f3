"""The page of ``zeroair app``: photos dropped into a browser, restored on this machine."""
