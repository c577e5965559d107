"""Fetching of locations by Dask workers: the only package that imports Dask.

`existing` and `local` connect to a cluster, `membership` admits its workers (`identity`, `shares`),
`plugin` is the state of a run in a worker, and `workers` submits the tasks.
"""

from caco_data.download.cluster.workers import Workers, connect

__all__ = ["Workers", "connect"]
