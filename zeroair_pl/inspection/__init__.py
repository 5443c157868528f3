"""Looking at a fit: while it runs (``progress``, ``tensorboard``) and afterwards (``report``).

Nothing in here takes part in a restoration. The modules are imported where they are used, since the bars need rich and
the board needs tensorboard, and neither is needed to restore a photo.
"""
