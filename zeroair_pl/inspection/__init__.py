"""Shows a fit to people: while it runs (``progress``, ``tensorboard``) and afterwards (``pictures``, ``pages``).

Nothing here changes a result. The modules are imported where they are used, since ``progress`` needs rich and
``tensorboard`` needs TensorBoard, and a restoration needs neither.
"""
