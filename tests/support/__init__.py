"""Fakes, servers and data shared by the tests."""

from pathlib import Path

#: Root folder of the repository.
ROOT = Path(__file__).parents[2]
