"""Files to photos and back: finding, reading and writing. Nothing here restores."""
