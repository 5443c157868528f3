"""Training of a prior on a folder of photographs: ``zeroair prior train``."""
