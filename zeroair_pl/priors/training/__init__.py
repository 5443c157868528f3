"""How a prior is made from a folder of photographs: ``python cli.py prior train``."""
