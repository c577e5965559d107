"""Change-aware contrastive training: `batches -> augment -> encoder -> contrast -> change -> loop`."""
