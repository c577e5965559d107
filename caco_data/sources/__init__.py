"""Image archives with a common interface, the protocols in `base`."""
