"""Style: settings stay where they belong, files are whole and alike, text is readable."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from da.figures.style import TEXT_POINTS, Drawing, broken, in_style, style, write_drawing

START = np.datetime64("2010-04-05T00:00:00", "ns")
MINUTE = np.timedelta64(60, "s").astype("m8[ns]")


@in_style
def line() -> Drawing:
    figure = Figure(figsize=(2.0, 2.0))
    figure.subplots().plot([0.0, 1.0], [0.0, 1.0], label="line")
    return Drawing("line", "A line", "It rises.", "A rising line.", figure)


def test_that_the_settings_of_the_process_are_untouched() -> None:
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["font.size"] == TEXT_POINTS
    line()
    assert dict(mpl.rcParams) == before


def test_that_pyplot_holds_no_figure() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    line()
    assert pyplot.get_fignums() == []


def test_that_text_is_set_in_at_least_eight_points() -> None:
    (axes,) = line().figure.axes
    assert all(label.get_fontsize() >= 8.0 for label in axes.get_xticklabels())


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_that_a_drawing_gives_the_same_bytes_each_time(tmp_path: Path, kind: str) -> None:
    (first,) = write_drawing(line(), tmp_path / "first", (kind,))
    (second,) = write_drawing(line(), tmp_path / "second", (kind,))
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [f"line.{kind}"]


def test_that_a_drawing_that_fails_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_drawing(line(), tmp_path, ("svg",))
    before = path.read_bytes()

    def half(self: Figure, target: Path, **options: object) -> None:
        target.write_bytes(b"<svg")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(KeyboardInterrupt):
        write_drawing(line(), tmp_path, ("svg",))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_that_a_gap_is_one_nan_after_the_point_before_it() -> None:
    time = START + np.array([0, 1, 60]) * MINUTE
    at, values = broken(time, np.array([1.0, 2.0, 3.0]), 20 * MINUTE)
    np.testing.assert_array_equal(values, [1.0, 2.0, np.nan, 3.0])
    assert time[1] < at[2] < time[2]
