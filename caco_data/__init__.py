"""Change-aware Sentinel-2 pretraining sets and encoders.

The data's way: `cities -> locations -> plans -> stacks -> shards -> batches -> encoder -> report`.
"""

__version__ = "0.1.0"
