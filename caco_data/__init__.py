"""Change-aware Sentinel-2 pretraining sets and encoders.

Data flow: `cities -> locations -> plans -> stacks -> shards -> batches -> encoder -> report`.
"""

__version__ = "0.1.0"
