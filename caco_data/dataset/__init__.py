"""The data set: the format of its shards, its writer, its reader, and checks of it."""

from caco_data.dataset.reader import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset"]
