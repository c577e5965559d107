"""The sampler, and the locations table: its files and its map."""
