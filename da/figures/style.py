"""How all figures look: sizes, colours of what is compared, and the files that a drawing becomes.

Colours are those of Okabe & Ito (2008) and, for fields, cividis: distinct for colour-blind readers. Sizes are those of
print: two columns are 183 mm wide and no text is smaller than 8 points. Figures are built without pyplot: no state is
shared between them and no window opens; settings hold inside :func:`style` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.atomic_file import replacing
from da.verification.evaluation import Row

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]
P = ParamSpec("P")
R = TypeVar("R")

WIDTH_IN = 7.2
"""Width of a figure over two columns [inch]."""

TEXT_POINTS = 8.0
RESOLUTION_DPI = 200
FORMATS = ("pdf", "png")

ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
"""Okabe & Ito (2008), without black."""

LIGHT_CIVIDIS = LinearSegmentedColormap.from_list("light_cividis", mpl.colormaps["cividis"](np.linspace(0.3, 1.0, 256)))
"""Cividis without its darkest part, on which coasts and lines could not be seen."""

SHADE = "#E4E4E4"
COLOUR = {
    Row.MSIS: ORANGE,
    Row.CALIBRATED_MSIS: PURPLE,
    Row.PERSISTED: BLUE,
    Row.OPEN_LOOP: SKY,
    Row.FORECAST: GREEN,
    Row.ANALYSIS: VERMILION,
}
MARKER = {
    Row.MSIS: "s",
    Row.CALIBRATED_MSIS: "D",
    Row.PERSISTED: "P",
    Row.OPEN_LOOP: "^",
    Row.FORECAST: "o",
    Row.ANALYSIS: "v",
}
DASHES: dict[Row, Any] = {
    Row.MSIS: "--",
    Row.CALIBRATED_MSIS: "-",
    Row.PERSISTED: ":",
    Row.OPEN_LOOP: "--",
    Row.FORECAST: "-",
    Row.ANALYSIS: (0, (4, 1, 1, 1)),
}

_SETTINGS: Any = {
    "font.size": TEXT_POINTS,
    "font.family": "DejaVu Sans",
    "axes.titlesize": TEXT_POINTS,
    "axes.titlelocation": "left",
    "axes.labelsize": TEXT_POINTS,
    "axes.linewidth": 0.6,
    "xtick.labelsize": TEXT_POINTS,
    "ytick.labelsize": TEXT_POINTS,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.fontsize": TEXT_POINTS,
    "legend.title_fontsize": TEXT_POINTS,
    "legend.frameon": False,
    "figure.titlesize": TEXT_POINTS + 1.0,
    "lines.linewidth": 1.1,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "thermoda",
    "savefig.dpi": RESOLUTION_DPI,
}


@contextmanager
def style() -> Iterator[None]:
    """Hold the settings of the figures; those of the process are as before afterwards."""
    with mpl.rc_context(_SETTINGS):
        yield


def in_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Return a function that draws inside :func:`style`."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return draw(*args, **kwargs)

    return styled


@dataclass(frozen=True)
class Drawing:
    """A figure with what a reader is told of it.

    Parameters
    ----------
    name : str
        Stem of its files.
    title : str
        A few words.
    caption : str
        What is shown, and how to read it.
    alternative : str
        What a reader who does not see it needs: kind of figure, and the numbers that matter.
    figure : Figure
    """

    name: str
    title: str
    caption: str
    alternative: str
    figure: Figure


def write_drawing(drawing: Drawing, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a drawing into a folder, one file per format, and return their paths.

    Parameters
    ----------
    drawing : Drawing
    folder : Path
        Made where it is missing; a file appears under its name only when it is whole.
    formats : sequence of {"pdf", "png", "svg"}
    """
    folder.mkdir(parents=True, exist_ok=True)
    with style():
        # The places of axes and texts are sought once, not again for every format.
        drawing.figure.draw_without_rendering()
        drawing.figure.set_layout_engine("none")
    paths = []
    for kind in formats:
        path = folder / f"{drawing.name}.{kind}"
        # Without dates in the files, the same run gives the same bytes.
        dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
        with style(), replacing(path) as partial:
            drawing.figure.savefig(partial, format=kind, metadata=dated)
        paths.append(path)
    return paths


def day_number(time: np.datetime64) -> float:
    """Return a time in matplotlib's unit for dates: days since 1970."""
    return float(date2num(time))  # type: ignore[no-untyped-call]


def day_numbers(time: TimeArray) -> FloatArray:
    """Return times (n,) in matplotlib's unit for dates: days since 1970."""
    return np.asarray(date2num(time), dtype=np.float64)  # type: ignore[no-untyped-call]


def broken(time: TimeArray, values: FloatArray, gap: np.timedelta64) -> tuple[TimeArray, FloatArray]:
    """Return a series with a NaN inside every longer gap, where a line must not be drawn."""
    gaps = np.flatnonzero(np.diff(time) > gap) + 1
    return np.insert(time, gaps, time[gaps - 1] + np.timedelta64(1, "s")), np.insert(values, gaps, np.nan)


def date_axis(axes: Axes, ticks: int = 9) -> None:
    """Label the x axis, which is in days since 1970, with dates, shortly."""
    # With few ticks, some periods have no interval that gives four of them.
    fewest = 4 if ticks >= 9 else 2
    locator = AutoDateLocator(minticks=fewest, maxticks=ticks)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0.0)


def hide_dates(axes: Axes) -> None:
    """Leave the labels of dates to the axes below that share them."""
    axes.tick_params(labelbottom=False)
    axes.xaxis.get_offset_text().set_visible(False)


def legend_above(axes: Axes, columns: int = 7) -> None:
    """Put the legend above the axes, right-aligned."""
    axes.legend(
        ncols=columns,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=0.7,
        borderaxespad=0.2,
    )


def minute(time: np.datetime64) -> str:
    """Return a time as readers are shown it."""
    return str(time.astype("datetime64[m]")).replace("T", " ")
