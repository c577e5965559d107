"""The sampler, and the table of locations that it makes, as a file and as a map."""
