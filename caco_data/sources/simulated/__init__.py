"""The simulated Sentinel-2 archive; start reading at `caco_data.sources.simulated.source`."""
