"""From locations to stacks to a data set: plan, fetch, and the run over Dask workers."""
