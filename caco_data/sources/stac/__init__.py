"""STAC APIs and cloud-optimised GeoTIFFs; start reading at `caco_data.sources.stac.source`."""
