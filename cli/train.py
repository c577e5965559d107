"""`caco-data train`: change-aware contrastive pretraining."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import COUNT, Bands, require_extra
from .progress import TrainDisplay

if TYPE_CHECKING:
    from caco_data.training.settings import PresetName


@click.command("train")
@click.option("--data", default="dataset", show_default=True, help="Folder of the data set.")
@click.option("--out", default="run", show_default=True, help="Folder of the run.")
@click.option(
    "--bands", type=Bands(), help="Bands to train on.  [default: all that the data set has]"
)
@click.option(
    "--preset",
    type=click.Choice(["paper-100k", "paper-1m"]),
    help="The paper's epochs, 1000 or 200, for 10k or 100k locations; options overrule it.",
)
@click.option(
    "--method",
    type=click.Choice(["moco", "moco-tp", "seco", "teco", "caco"]),
    default="caco",
    show_default=True,
    help="Two views of one image, or of two dates; three subspaces; and in these, other years as "
    "negatives: always, or where changed.",
)
@click.option(
    "--framework", type=click.Choice(["moco", "simclr"]), default="moco", show_default=True,
    help="How views are contrasted: MoCo v2 or SimCLR.",
)  # fmt: skip
@click.option(
    "--encoder", default="resnet18", show_default=True, metavar="NAME",
    help="What is trained: resnet18, resnet50, or timm:NAME where timm is installed.",
)  # fmt: skip
@click.option(
    "--epochs", type=COUNT, default=200, show_default=True, help="Times each location is seen."
)
@click.option("--max-steps", type=COUNT, help="End after so many steps.")
@click.option(
    "--batch-size", type=COUNT, default=256, show_default="256, for simclr 512",
    help="Rows over all devices; two a location.",
)  # fmt: skip
@click.option(
    "--queue-size", type=COUNT, default=16384, show_default=True,
    help="Keys kept as negatives; a multiple of the batch.",
)  # fmt: skip
@click.option(
    "--lr",
    type=click.FloatRange(0, 100, min_open=True),
    default=0.03,
    show_default=True,
    help="Learning rate; a tenth of it from 60 % of the steps on, a hundredth from 80 %.",
)
@click.option(
    "--key-momentum", type=click.FloatRange(0, 1), default=0.999, show_default=True,
    help="Share of the key network that stays at each step; less for short runs.",
)  # fmt: skip
@click.option(
    "--change-estimate",
    type=click.Choice(["distance", "ratio", "aligned", "smoothed"]),
    default="smoothed",
    show_default=True,
    help="What is taken for change (paper, Table 8).",
)
@click.option(
    "--mixture",
    type=click.Choice(["log", "raw"]),
    default="log",
    show_default=True,
    help="Fit change labels to log ratios, or to raw ones as in the paper.",
)
@click.option(
    "--crop-size", type=COUNT, default=224, show_default=True, help="Side of a view, pixels."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "bf16", "32"]),
    default="auto",
    show_default=True,
    help="auto is bf16 where the device has it: CUDA, and some processors.",
)
@click.option(
    "--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True,
    help="Where to train.",
)  # fmt: skip
@click.option(
    "--devices", type=COUNT, default=1, show_default=True,
    help="GPUs to train on; torchrun overrules it.",
)  # fmt: skip
@click.option("--compile", is_flag=True, help="Compile the encoder (torch.compile).")
@click.option("--workers", type=COUNT, default=4, show_default=True, help="Reader threads.")
@click.option(
    "--log-every", type=COUNT, default=10, show_default=True, help="Steps between two reports."
)
@click.option(
    "--checkpoint-minutes", type=click.FloatRange(0, min_open=True), default=30, show_default=True,
    help="Longest time between two checkpoints, beside those after each epoch.",
)  # fmt: skip
@click.option(
    "--keep-best", type=click.IntRange(0), default=1, show_default=True,
    help="Checkpoints of the best epochs to keep, besides the last two.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option("--checksum", is_flag=True, help="Hash every shard first; sizes are compared anyway.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or begin it.")
@click.pass_context
def command(ctx: click.Context, /, preset: PresetName | None, **options: Any) -> None:
    """Train an encoder on a data set.

    Leaves metrics, checkpoints, encoder.safetensors (torchvision's names), change.parquet and
    pictures in --out.

    \b
    caco-data train --data dataset --out run
    caco-data train --device cpu --batch-size 32 --queue-size 512 --crop-size 112 --epochs 10
    caco-data train --preset paper-100k --devices 4
    torchrun --nproc-per-node 4 --no-python caco-data train
    caco-data train --resume
    """
    require_extra()
    from caco_data.errors import INTERRUPTED
    from caco_data.training.loop import train
    from caco_data.training.settings import FRAMEWORKS, PRESETS, TrainSettings

    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    given = {name: value for name, value in options.items() if not _is_default(ctx, name)}
    chosen = {**FRAMEWORKS[options["framework"]], **(PRESETS[preset] if preset else {}), **given}
    settings = TrainSettings(**{**options, **chosen})
    show = TrainDisplay(quiet=bool(ctx.find_root().params.get("quiet")))
    # Of several processes, which these variables number, one speaks for all.
    leads = os.environ.get("RANK", "0") == os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        last = train(settings, show)
    except KeyboardInterrupt:
        if leads:
            raise
        sys.exit(INTERRUPTED)
    finally:
        show.close()
    if not leads:
        return
    if last is None:
        click.echo(f"{settings.out}: the run was already finished")
        return
    summary = f"{settings.out}: {last.step} steps, loss {last.loss:.3f}"
    if last.auroc is not None:
        summary += f", AUROC of the change estimate against the truth {last.auroc:.3f}"
    click.echo(summary)


def _is_default(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.DEFAULT
