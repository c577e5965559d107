"""`caco-data export-encoder`: weights of an encoder for other software."""

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
    show_default=True, help="Parameter names; caco: those of the paper's authors.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="Output file: .pth (torch.save) or .safetensors.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace --out.")
def command(source: Path, kind: Format, out: Path, overwrite: bool) -> None:
    """Export the weights of an encoder.

    ENCODER is the folder of a run, its encoder.safetensors, or a .pth file released by the authors
    of the paper.

    \b
    caco-data export-encoder run --format timm --out resnet18.pth
    caco-data export-encoder resnet18_caco_geo_100k_1000.pth --out encoder.safetensors
    """
    require_extra()
    from caco_data.errors import InputError
    from caco_data.training.models.weights import export_encoder, load_encoder

    if out.suffix not in (".pth", ".safetensors"):
        raise InputError(
            f"Unknown file format '{out.suffix}'", str(out), "Use .pth or .safetensors"
        )
    if out.exists() and not overwrite:
        raise InputError("The file exists", str(out), "Use --overwrite, or another --out")
    encoder = load_encoder(source / "encoder.safetensors" if source.is_dir() else source)
    weights = export_encoder(encoder, kind, out)
    click.echo(
        f"{encoder.name}, bands {', '.join(encoder.bands)}: {len(weights)} tensors", err=True
    )
    click.echo(out)
