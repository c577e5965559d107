"""`caco-data evaluate`: quality of an encoder, by tasks with known answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .options import is_quiet, require_extra
from .output import echo
from .render import text_table

if TYPE_CHECKING:
    from caco_data.evaluation.evaluation import Evaluation

#: Seconds between two lines of progress where there is no bar.
LINE_EVERY_S = 15.0


class EvaluateDisplay:
    """Progress display of an evaluation: a bar on a terminal, lines elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._step = ""
        self._last = time.monotonic()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show that a number of units of a step are done."""
        import sys

        if self._quiet:
            return
        if sys.stderr.isatty():
            from tqdm import tqdm

            if step != self._step:
                self.close()
                self._bar = tqdm(total=total, desc=step, dynamic_ncols=True, leave=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            echo(f"{step}: {done} of {total}", err=True)
        self._step = step

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@click.group("evaluate")
def command() -> None:
    """Evaluate an encoder on a task with known answers.

    Every task also evaluates floors, such as the same network with fresh weights, and writes a
    table, JSON and pictures to --out. docs/evaluation.md describes the protocols.

    \b
    caco-data evaluate eurosat --encoder run --data EuroSAT_RGB
    caco-data evaluate change --encoder run --data dataset
    """


def _options(name: str) -> Callable[[Any], Any]:
    """Options of a settings class of `caco_data.evaluation.settings`."""
    from caco_data.evaluation import settings

    from .options import options_of

    return options_of(getattr(settings, name))


def _classification_options(function: Any) -> Any:
    function = click.option(
        "--split-file", multiple=True, metavar="FILE", type=click.Path(),
        help="List of the images of a part, whose name contains train, val or test; or a CSV file "
        "with the columns filename and split. May be repeated.",
    )(function)  # fmt: skip
    return _options("ClassificationSettings")(function)


@command.command("eurosat")
@_classification_options
@click.pass_context
def eurosat(ctx: click.Context, /, **values: Any) -> None:
    """Land cover of EuroSAT: kNN, linear classifier, optionally fine-tuning.

    --data is the folder of EuroSAT (RGB or all bands), with or without train, val and test folders.

    \b
    caco-data evaluate eurosat --encoder run --data EuroSAT_RGB \\
      --split-file eurosat-spatial-train.txt --split-file eurosat-spatial-val.txt \\
      --split-file eurosat-spatial-test.txt
    """
    _classify(ctx, "eurosat", values)


@command.command("knn")
@_classification_options
@click.pass_context
def knn(ctx: click.Context, /, **values: Any) -> None:
    """Nearest neighbours on any folder of class folders of images.

    \b
    caco-data evaluate knn --encoder run --data my_tiles --bands B4,B3,B2
    """
    _classify(ctx, "knn", values)


@command.command("change")
@_options("ChangeSettings")
@click.pass_context
def change(ctx: click.Context, /, **values: Any) -> None:
    """Detection of changed locations in a data set of the simulated archive.

    Distances between the periods over distances within them, for the features of the encoder and
    the floors, and for the estimate of the training run; compared with truth.parquet.

    \b
    caco-data evaluate change --encoder run --data dataset
    """
    require_extra()
    from caco_data.evaluation.change import evaluate_change
    from caco_data.evaluation.settings import ChangeSettings

    _run(ctx, evaluate_change, ChangeSettings, values)


@command.command("bigearthnet")
@_options("EvaluationSettings")
@click.pass_context
def bigearthnet(ctx: click.Context, /, **values: Any) -> None:
    """Land cover of BigEarthNet-S2: 19 classes, from 10 % and 100 % of the training part.

    --data is the folder of version 2 with metadata.parquet, or of version 1 with train.csv, val.csv
    and test.csv.
    """
    require_extra()
    from caco_data.evaluation.bigearthnet import evaluate_bigearthnet
    from caco_data.evaluation.settings import EvaluationSettings

    _run(ctx, evaluate_bigearthnet, EvaluationSettings, values)


@command.command("oscd")
@_options("OscdSettings")
@click.pass_context
def oscd(ctx: click.Context, /, **values: Any) -> None:
    """Change detection on OSCD (Onera): a U-Net on differences of the frozen encoder's maps.

    --data is a folder with the unpacked archives of images, train labels and test labels.
    """
    require_extra()
    from caco_data.evaluation.oscd import evaluate_oscd
    from caco_data.evaluation.settings import OscdSettings

    _run(ctx, evaluate_oscd, OscdSettings, values)


@command.command("segmentation")
@_options("SegmentationSettings")
@click.pass_context
def segmentation(ctx: click.Context, /, **values: Any) -> None:
    """Segmentation with a linear and a U-Net decoder on the frozen encoder's maps.

    --data has the folders images and masks, or train, val and test with these; masks have class
    numbers from 0, and 255 where there is no class.
    """
    require_extra()
    from caco_data.evaluation.segmentation import evaluate_segmentation
    from caco_data.evaluation.settings import SegmentationSettings

    _run(ctx, evaluate_segmentation, SegmentationSettings, values)


@command.command("events")
@_options("EventsSettings")
@click.pass_context
def events(ctx: click.Context, /, **values: Any) -> None:
    """Change events in monthly series: ranking of all dates by the change of the features.

    --data has one folder per series with images named 2021-03.tif, and events.csv with the columns
    series and date.
    """
    require_extra()
    from caco_data.evaluation.events import evaluate_events
    from caco_data.evaluation.settings import EventsSettings

    _run(ctx, evaluate_events, EventsSettings, values)


def _run(ctx: click.Context, evaluate: Any, kind: Any, values: dict[str, Any], **more: Any) -> None:
    """Evaluate with progress, and print the results."""
    from .options import settings_from

    settings = settings_from(kind, values, **more)
    display = EvaluateDisplay(is_quiet(ctx))
    try:
        found = evaluate(settings, display)
    finally:
        display.close()
    print_evaluation(found)


def _classify(ctx: click.Context, task: Any, values: dict[str, Any]) -> None:
    require_extra()
    from caco_data.evaluation.classification import evaluate_classification
    from caco_data.evaluation.settings import ClassificationSettings

    files = tuple(values.pop("split_file"))
    evaluate = partial(evaluate_classification, task)
    _run(ctx, evaluate, ClassificationSettings, values, split_file=files)


def print_evaluation(found: Evaluation) -> None:
    """Print the table and the files; notes go to stderr."""
    rows: list[tuple[str, ...]] = [("method", "encoder", "metric", "value", "95 % interval")]
    for one in found.measured:
        row = one.result
        bounds = f"{row.ci_lower:.3f} - {row.ci_upper:.3f}"
        rows.append((row.method, row.name, row.metric_name, f"{row.metric_value:.3f}", bounds))
    for ref in found.references:
        name = f"published: {ref.name}"
        rows.append((ref.method, name, ref.metric_name, f"{ref.value:.3f}", ref.source))
    echo(*text_table(rows).split("\n"))
    for note in found.notes:
        echo(f"note: {note}", err=True)
    for file in found.files:
        echo(file)
