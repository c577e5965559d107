"""`caco-data sample`: draw locations."""

from __future__ import annotations

import click

from .options import COUNT


@click.command("sample")
@click.option("--n", type=COUNT, required=True, help="Locations: 100000, 100k, 2.5k, 1m.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="Same seed and settings: same locations.",
)
@click.option(
    "--strategy",
    type=click.Choice(["caco", "seco", "uniform"]),
    default="caco",
    show_default=True,
    help="caco: Gaussian around cities, 5 km; seco: 50 km; uniform: equal area on land.",
)
@click.option(
    "--sigma-km",
    type=float,
    show_default="5, with seco 50",
    help="Standard deviation of the Gaussian on each axis.",
)
@click.option(
    "--top-cities",
    type=COUNT,
    default=10_000,
    show_default=True,
    help="Choose among this many of the most populous cities.",
)
@click.option(
    "--cities",
    type=click.Path(),
    metavar="FILE",
    help="Your own cities: points with name and population.  [default: GeoNames]",
)
@click.option(
    "--land",
    type=click.Path(),
    metavar="FILE",
    help="Your own land polygons.  [default: Natural Earth 1:10m]",
)
@click.option(
    "--within",
    metavar="FILE|BOX",
    help="Only in these polygons, or in minlon,minlat,maxlon,maxlat.",
)
@click.option("--no-overlap", is_flag=True, help="Refuse patches that intersect an earlier one.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    default="locations.parquet",
    show_default=True,
    help="File to write: .parquet, .geojson, .gpkg or .csv.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that holds other locations.")
@click.option("--map", "map_path", type=click.Path(dir_okay=False), metavar="FILE.png",
              help="Draw a map of the locations.")  # fmt: skip
def command(
    n: int,
    seed: int,
    strategy: str,
    sigma_km: float | None,
    top_cities: int,
    cities: str | None,
    land: str | None,
    within: str | None,
    no_overlap: bool,
    out: str,
    overwrite: bool,
    map_path: str | None,
) -> None:
    """Draw locations near cities, the same for the same seed.

    A longer table begins with the rows of a shorter one. A point whose whole patch (2,640 m
    square) lies in the ocean is drawn again.

    \b
    caco-data sample --n 100k
    caco-data sample --n 10k --no-overlap --map map.png
    caco-data sample --n 500 --within 3.3,50.7,7.3,53.6 --out netherlands.geojson
    """
    import time
    from pathlib import Path

    from caco_data.sampling.location_files import write_locations, writer_of
    from caco_data.sampling.locations import sample_locations
    from caco_data.sampling.settings import SampleSettings

    settings = SampleSettings(
        seed=seed,
        strategy=strategy,  # type: ignore[arg-type]
        sigma_km=sigma_km,
        top_cities=top_cities,
        cities=cities,
        land=land,
        within=within,
        no_overlap=no_overlap,
    )
    writer_of(Path(out))  # a wrong suffix shows before the draw
    if map_path is not None and Path(map_path).suffix.lower() != ".png":
        raise click.BadParameter(f"{map_path!r} does not end in .png", param_hint="--map")
    if map_path is not None and not Path(map_path).parent.is_dir():
        raise click.BadParameter(f"no such folder: {Path(map_path).parent}", param_hint="--map")
    began = time.perf_counter()
    locations = sample_locations(settings, n)
    took = time.perf_counter() - began
    write_locations(locations, out, overwrite)
    if map_path is not None:
        from caco_data.sampling.location_map import plot_map

        plot_map(locations, map_path)
    quiet = click.get_current_context().find_root().params.get("quiet", False)
    if not quiet:
        click.echo(f"{n:,} locations drawn in {took:.2f} s ({strategy}, seed {seed})", err=True)
    click.echo(out)
