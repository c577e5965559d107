"""The sampler and the locations table, as a file and as a map."""
