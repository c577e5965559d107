"""`caco-data export-encoder`: encoders for other software."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import require_extra
from .output import echo

if TYPE_CHECKING:
    from caco_data.training.models.export import Format


@click.command("export-encoder")
@click.argument("source", metavar="ENCODER", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind",
    type=click.Choice(["torchvision", "timm", "torchgeo", "caco", "onnx"]),
    default="torchvision", show_default=True,
    help="torchvision, timm: weights under their names. torchgeo: a checkpoint for the weights= of "
    "its trainers. caco: weights under the names of the paper's authors. onnx: a graph.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="Output file: .safetensors or .pth; .ckpt for torchgeo; .onnx for onnx.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace --out.")
def command(source: Path, kind: Format, out: Path, overwrite: bool) -> None:
    """Export an encoder for other software, with its card.

    ENCODER is the folder of a run, its encoder.safetensors, an export, a file released by the
    authors of the paper, a checkpoint of MoCo, SeCo or Lightning, or weights of a ResNet-18 or -50
    of torchvision, timm or torchgeo. The card, a JSON description of bands, scaling and training,
    is stored in the file, or next to it in NAME.card.json.

    \b
    caco-data export-encoder run --format timm --out resnet18.safetensors
    caco-data export-encoder run --format onnx --out resnet18.onnx
    caco-data export-encoder resnet18_caco_geo_100k_1000.pth --out encoder.safetensors
    """
    require_extra()
    from caco_data.errors import InputError
    from caco_data.training.models.export import export_encoder
    from caco_data.training.models.weights import load_encoder

    if out.exists() and not overwrite:
        raise InputError("The file exists", str(out), "Use --overwrite, or another --out")
    encoder = load_encoder(source)
    weights = export_encoder(encoder, kind, out)
    card = encoder.card
    echo(
        f"{card.architecture}, bands {', '.join(card.band_names)}: {len(weights)} tensors", err=True
    )
    if card.assumed:
        echo(f"note: {source} has no encoder card; assumed: {', '.join(card.assumed)}", err=True)
    echo(str(out))
