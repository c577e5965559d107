"""Encoders, the two frameworks that train them, and their weights as files."""
