"""Object store clients on the operations of a data set: `python -m benchmarks.bench_storage`.

obstore, which `caco_data.storage` uses, beside s3fs (`pip install s3fs`), on moto's S3 server on
the loopback interface. Milliseconds and CPU milliseconds of this process per operation; the server
is a Python process, whose time dominates the former.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

import fsspec

from caco_data.storage import ObjectStorage, write_bytes
from tests.support.s3_server import s3_server

#: Bytes of a location with three bands, of a shard, of a tile, and of a small file.
PART, SHARD, TILE, SMALL = 4_372_480, 100_000_000, 418_000, 600


class Client(Protocol):
    """The operations that are measured."""

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""

    def read(self, name: str) -> bytes:
        """Read an object."""

    def read_range(self, name: str, offset: int, nbytes: int) -> bytes:
        """Read some bytes of an object."""

    def names(self) -> int:
        """List all objects; return their number."""


class Obstore:
    """`caco_data.storage`, with obstore."""

    def __init__(self, url: str) -> None:
        self._storage = ObjectStorage(url)

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        write_bytes(self._storage, name, data)

    def read(self, name: str) -> bytes:
        """Read an object."""
        return self._storage.read(name)

    def read_range(self, name: str, offset: int, nbytes: int) -> bytes:
        """Read some bytes of an object."""
        return self._storage.read_range(name, offset, nbytes)

    def names(self) -> int:
        """List all objects; return their number."""
        return len(self._storage.names())


class S3Fs:
    """s3fs."""

    def __init__(self, url: str) -> None:
        self._fs, self._prefix = fsspec.url_to_fs(url, use_listings_cache=False)

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._fs.open(f"{self._prefix}/{name}", "wb") as file:
            file.write(data)

    def read(self, name: str) -> bytes:
        """Read an object."""
        data: bytes = self._fs.cat_file(f"{self._prefix}/{name}")
        return data

    def read_range(self, name: str, offset: int, nbytes: int) -> bytes:
        """Read some bytes of an object."""
        data: bytes = self._fs.cat_file(f"{self._prefix}/{name}", start=offset, end=offset + nbytes)
        return data

    def names(self) -> int:
        """List all objects; return their number."""
        return len(self._fs.ls(self._prefix, refresh=True))


def measure(operation: Callable[[int], object], repeats: int) -> tuple[float, float]:
    """Milliseconds and CPU milliseconds of an operation, which gets the number of the repeat."""
    wall, cpu = time.perf_counter(), time.process_time()
    for i in range(repeats):
        operation(i)
    return (
        (time.perf_counter() - wall) / repeats * 1e3,
        (time.process_time() - cpu) / repeats * 1e3,
    )


def compare(client: Client) -> dict[str, tuple[float, float]]:
    """Measure all operations."""
    part, shard, small = bytes(PART), bytes(SHARD), bytes(SMALL)
    client.write("warm", small)
    return {
        "write 0.6 kB": measure(lambda i: client.write(f"small{i}", small), 50),
        "write 4.4 MB": measure(lambda i: client.write(f"part{i}", part), 20),
        "write 100 MB": measure(lambda i: client.write(f"shard{i}", shard), 2),
        "read 0.6 kB": measure(lambda i: client.read(f"small{i}"), 50),
        "read 4.4 MB": measure(lambda i: client.read(f"part{i}"), 20),
        "read 418 kB of 100 MB": measure(
            lambda i: client.read_range("shard0", 1_000_000 * i, TILE), 50
        ),
        "list 74 objects": measure(lambda i: client.names(), 20),
    }


def main() -> None:
    """Print the operations of both clients, in turn."""
    with s3_server() as server:
        os.environ |= server.environment
        clients: dict[str, Callable[[str], Client]] = {"s3fs": S3Fs, "obstore": Obstore}
        found = {
            name: compare(make(server.make_bucket(name) + "/set")) for name, make in clients.items()
        }
    print(f"{'':24}" + "".join(f"{name + ' ms (CPU)':>22}" for name in found))
    for operation in found["s3fs"]:
        figures = (figures[operation] for figures in found.values())
        print(f"{operation:24}" + "".join(f"{ms:14.1f} ({cpu:5.1f})" for ms, cpu in figures))


if __name__ == "__main__":
    main()
