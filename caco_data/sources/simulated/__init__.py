"""The simulated Sentinel-2 archive, one idea a file: see `caco_data.sources.simulated.source`."""
