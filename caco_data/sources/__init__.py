"""Image archives behind one protocol: see `base`."""
