"""`caco-data export-encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import require_extra

if TYPE_CHECKING:
    from caco_data.training.models.weights import Format


@click.command("export-encoder")
@click.argument("source", metavar="ENCODER", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["torchvision", "timm", "caco"]), default="torchvision",
    show_default=True, help="Whose names the weights get; caco is the paper's authors'.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="File to write: .pth (torch.save) or .safetensors.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace --out.")
def command(source: Path, kind: Format, out: Path, overwrite: bool) -> None:
    """Write the weights of a trained encoder for others to load.

    ENCODER is a run's folder, its encoder.safetensors, or a .pth that the authors of the paper
    released.

    \b
    caco-data export-encoder run --format timm --out resnet18.pth
    caco-data export-encoder resnet18_caco_geo_100k_1000.pth --out encoder.safetensors
    """
    require_extra()
    from caco_data.errors import InputError
    from caco_data.training.models.weights import export_encoder, load_encoder

    if out.suffix not in (".pth", ".safetensors"):
        raise InputError(
            f"Unknown kind of file '{out.suffix}'", str(out), "Give .pth or .safetensors"
        )
    if out.exists() and not overwrite:
        raise InputError("The file exists", str(out), "Add --overwrite, or choose another --out")
    encoder = load_encoder(source / "encoder.safetensors" if source.is_dir() else source)
    weights = export_encoder(encoder, kind, out)
    click.echo(
        f"{encoder.name}, bands {', '.join(encoder.bands)}: {len(weights)} tensors", err=True
    )
    click.echo(out)
