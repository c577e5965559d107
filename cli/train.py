"""`caco-data train`: change-aware contrastive pretraining."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from caco_data.errors import INTERRUPTED
from caco_data.training.settings import FRAMEWORKS, PRESETS, PresetName, TrainSettings

from .options import GroupedCommand, is_default, is_quiet, options_of, require_extra, settings_from
from .output import echo
from .progress import TrainDisplay
from .render import train_result


def _check_method(settings: TrainSettings) -> None:
    """Compare the method with the data set before torch and the data are loaded."""
    from caco_data.dataset.description import read_description
    from caco_data.dataset.layout import stack_layout
    from caco_data.storage import open_storage
    from caco_data.training.methods import check_method

    meta = read_description(open_storage(settings.data))
    check_method(settings.method, stack_layout(meta["settings"]), settings.data)


@click.command(
    "train",
    cls=GroupedCommand,
    headings={
        "data": "Options",
        "method": "Method",
        "epochs": "Optimisation",
        "preset": "Optimisation",
        "change_estimate": "Method",
        "crop_size": "Optimisation",
        "precision": "Hardware",
        "log_every": "Reports and checkpoints",
    },
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="The paper's change estimate and number of epochs: 1000 for 10k locations (paper-100k), "
    "200 for 100k locations (paper-1m); --change-estimate and --epochs take precedence.",
)
@options_of(TrainSettings)
@click.pass_context
def command(ctx: click.Context, /, preset: PresetName | None, **values: Any) -> None:
    """Train an encoder on a data set.

    Writes metrics, checkpoints, encoder.safetensors (torchvision's parameter names),
    change.parquet and plots to --out.

    \b
    caco-data train --data dataset --out run
    caco-data train --device cpu --batch-size 32 --queue-size 512 --crop-size 112 --epochs 10
    caco-data train --preset paper-100k --devices 4
    torchrun --nproc-per-node 4 --no-python caco-data train
    caco-data train --resume
    """
    require_extra()

    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    given = {name: value for name, value in values.items() if not is_default(ctx, name)}
    preset_values = PRESETS[preset] if preset else {}
    settings = settings_from(
        TrainSettings, {**values, **FRAMEWORKS[values["framework"]], **preset_values, **given}
    )
    _check_method(settings)
    from caco_data.training.loop import train

    display = TrainDisplay(is_quiet(ctx))
    # torchrun sets these variables to the ranks of the process; only the first process reports.
    first = os.environ.get("RANK", "0") == os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        last = train(settings, display)
    except KeyboardInterrupt:
        if first:
            raise
        sys.exit(INTERRUPTED)
    finally:
        display.close()
    if first:
        echo(train_result(settings.out, last))
