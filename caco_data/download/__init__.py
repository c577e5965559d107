"""Download of stacks: planning, fetching, and runs over Dask workers."""
