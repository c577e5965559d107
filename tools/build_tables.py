"""Build the bundled tables from their sources: `python -m tools.build_tables FOLDER`.

FOLDER contains `cities15000.parquet` and `land_10m.parquet`, described in NOTICE.md.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq

from caco_data.world import cities, land
from caco_data.world.geoparquet import geo_header
from caco_data.world.subdivide import subdivide
from caco_data.world.vector_files import read_polygons


def build(source: Path) -> None:
    """Build both tables: copy the cities, cut the land polygons.

    Parameters
    ----------
    source : Path
        Folder with the two tables.

    Raises
    ------
    InputError
        When the land cannot be read.
    """
    shutil.copyfile(source / "cities15000.parquet", cities.BUNDLED)
    table = subdivide(read_polygons(source / "land_10m.parquet", "land"), land.CELL_DEG)
    header = geo_header("polygon", "Polygon", (-180.0, -90.0, 180.0, 90.0))
    # Dictionaries and byte splitting make the file larger: most coordinates are repeated nearby.
    pq.write_table(
        table.replace_schema_metadata({"geo": header}),
        land.BUNDLED,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]))
