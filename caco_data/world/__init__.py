"""What is known of the world: cities, land, regions, and files of points and polygons."""
