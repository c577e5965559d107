"""Real items and files; README.md states their sources."""

from __future__ import annotations

from pathlib import Path

#: Items, by name of the service, platform, tile and day.
ITEMS = Path(__file__).with_name("items")
#: Files of one scene.
COGS = Path(__file__).with_name("S2A_29RKH_20200219")
