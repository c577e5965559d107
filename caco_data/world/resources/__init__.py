"""Bundled cities and land polygons; NOTICE.md names their sources."""
