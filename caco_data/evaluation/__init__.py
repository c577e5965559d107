"""Probes of a trained encoder."""
