"""Contrastive training: `batches -> augment -> encoder -> contrast -> change -> loop`."""
