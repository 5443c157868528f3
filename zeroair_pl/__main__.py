"""``python -m zeroair_pl``."""

from zeroair_pl.cli import main

raise SystemExit(main())
