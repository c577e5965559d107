"""Bundled cities and land polygons; NOTICE.md states their sources and licences."""
