"""Cities, land, regions, and files of points and polygons."""
