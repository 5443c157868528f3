"""How a prior is made from a folder of photographs: ``zeroair prior train``."""
