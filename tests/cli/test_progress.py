"""Progress on a fake terminal, as lines, and as JSON."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest

from caco_data.download.progress import DownloadProgress, Stage
from caco_data.training.metrics import TrainProgress
from cli import progress
from cli.progress import DownloadDisplay, TrainDisplay


class FakeTerminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def fake_terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """Replace standard error; not a fixture, because pytest replaces it again before the test."""
    fake = FakeTerminal()
    monkeypatch.setattr("sys.stderr", fake)
    return fake


def download_at(settled: int) -> DownloadProgress:
    """Progress of a download of ten locations, four of which were settled by an earlier run."""
    return DownloadProgress(
        wanted=10, done=3 + settled, rejected=Counter({"too cloudy": 1}), settled=settled,
        pending=6 - settled, tiles=10 * settled, requests=12 * settled, nbytes=4_000_000 * settled,
        retries=Counter({"503": 2}), in_flight=5, window=40, elapsed_s=2.0 * settled,
    )  # fmt: skip


def train_at(step: int) -> TrainProgress:
    return TrainProgress(
        epoch=1, epochs=2, step=step, steps=8, loss=4.5, head_loss=(1.0, 1.5, 2.0),
        accuracy=(0.5, 0.25, 0.1), lr=0.03, changed_share=0.2, auroc=0.75, rows_per_s=12.0,
    )  # fmt: skip


def test_download_bar_counts_the_locations_of_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = fake_terminal(monkeypatch)
    display = DownloadDisplay(json_log=False, quiet=False)
    for settled in (0, 3, 6):
        display(download_at(settled))
    display.close(download_at(6))
    last = terminal.getvalue().rstrip("\n").rpartition("\r")[2]
    assert "10/10" in last
    assert "60 tiles, 1 rejected, 2.0 MB/s, 6.0 requests/s, 5 of 40 in flight" in last
    assert "2 retries (503 x2)" in last


def stage_at(done: int) -> DownloadProgress:
    """Progress of a download that resumes."""
    return DownloadProgress(10, 0, Counter(), stage=Stage("resuming", done, 3000))


def test_stages_without_requests_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "STAGE_EVERY_S", 0.0)
    display = DownloadDisplay(json_log=False, quiet=False)
    display(stage_at(0))
    display(stage_at(1500))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "resuming: reading 3,000 files"
    assert second == "resuming: 1,500 of 3,000 files read"
    monkeypatch.setattr(progress, "STAGE_EVERY_S", 1e9)
    display(stage_at(2000))
    assert not capsys.readouterr().err
    DownloadDisplay(json_log=True, quiet=True)(stage_at(0))
    assert json.loads(capsys.readouterr().err) == {"stage": "resuming", "done": 0, "of": 3000}
    terminal = fake_terminal(monkeypatch)
    display = DownloadDisplay(json_log=False, quiet=False)
    display(stage_at(0))
    display(download_at(0))
    display.close(None)
    assert "resuming: reading 3,000 files" in terminal.getvalue()
    assert "resuming" not in terminal.getvalue().rpartition("\r")[2]


def test_download_lines_are_printed_once_per_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display = DownloadDisplay(json_log=False, quiet=False)
    display(download_at(1))
    assert capsys.readouterr().err == ""  # the first interval has not ended
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    display(download_at(3))
    assert capsys.readouterr().err == (
        "7 of 10 locations, 30 tiles, 1 rejected, 2.0 MB/s, 6.0 requests/s, 5 of 40 in flight, "
        "2 retries (503 x2), 0:06 left\n"
    )
    display.close(download_at(3))
    assert capsys.readouterr().err == ""


def test_json_log_ends_with_the_final_state(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = fake_terminal(monkeypatch)
    display = DownloadDisplay(json_log=True, quiet=True)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    display(download_at(3))
    display.close(download_at(6))
    first, last = (json.loads(line) for line in terminal.getvalue().splitlines())
    assert (first["locations"], first["pending"], first["eta_s"]) == (6, 3, 6.0)
    assert last == {
        "locations": 9, "pending": 0, "rejected": {"too cloudy": 1}, "tiles": 60, "requests": 72,
        "bytes": 24_000_000, "retries": {"503": 2}, "in_flight": 5, "window": 40,
        "elapsed_s": 12.0, "eta_s": 0.0,
    }  # fmt: skip


def test_training_bar_counts_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = fake_terminal(monkeypatch)
    display = TrainDisplay(quiet=False)
    for step in (3, 8):  # resumed from step 2
        display(train_at(step))
    display.close()
    last = terminal.getvalue().rstrip("\n").rpartition("\r")[2]
    assert "8/8" in last
    assert "loss 4.500, accuracy 50%/25%/10%, changed 20%, AUROC 0.750, 12.0 rows/s" in last


def test_training_lines_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    display = TrainDisplay(quiet=False)
    display(train_at(1))
    display(train_at(2))
    display.close()
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        "epoch 1 of 2, step 1 of 8: loss 4.500, accuracy 50%/25%/10%, changed 20%, AUROC 0.750, "
        "12.0 rows/s, ? left"
    )
    assert second.startswith("epoch 1 of 2, step 2 of 8: loss 4.500")


def test_quiet_displays_print_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = fake_terminal(monkeypatch)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    download, training = DownloadDisplay(json_log=False, quiet=True), TrainDisplay(quiet=True)
    download(download_at(3))
    download.close(download_at(6))
    training(train_at(1))
    training.close()
    assert terminal.getvalue() == ""
