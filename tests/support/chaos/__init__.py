"""Random disturbances of real downloads, for benchmarks/chaos.py and a test."""
