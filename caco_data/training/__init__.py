"""Contrastive pretraining: `batches -> augment -> models -> loss -> change`, driven by `loop`."""
