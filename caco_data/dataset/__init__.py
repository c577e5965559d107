"""The data set: format of its shards, writer, reader, verification and repair."""

from caco_data.dataset.reader import Dataset, open_dataset

__all__ = ["Dataset", "open_dataset"]
