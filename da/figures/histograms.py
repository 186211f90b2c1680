"""Histograms of the differences between modelled and observed densities along the tracks (Figure 12)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.figures.style import COLOUR, DASHES, WIDTH_IN, Drawing, in_style
from da.verification.evaluation import Activity, Evaluation, SatelliteEvaluation
from da.verification.tables import density_exponent

FloatArray = NDArray[np.float64]

BINS = 60


def difference_bins(satellite: SatelliteEvaluation) -> FloatArray:
    """Return the bounds of the bins [kg m-3]: 60 from the 0.5 to the 99.5 percentile of all rows' differences."""
    every = np.concatenate([modelled - satellite.observed for modelled in satellite.modelled.values()])
    low, high = np.percentile(every, (0.5, 99.5))
    return np.linspace(low, high, BINS + 1)


@in_style
def histogram_drawing(evaluation: Evaluation) -> Drawing:
    """Return the histograms of all satellites of a run, with the medians of the rows.

    Parameters
    ----------
    evaluation : Evaluation
    """
    number = len(evaluation.satellites)
    figure = Figure(figsize=(WIDTH_IN, 0.3 + 2.7 * number), layout="constrained")
    panels = figure.subplots(number, 1, squeeze=False)[:, 0]
    words = []
    for axes, satellite in zip(panels, evaluation.satellites, strict=True):
        exponent = density_exponent(satellite)
        bounds, scale = difference_bins(satellite), 10.0**-exponent
        for row, modelled in satellite.modelled.items():
            difference = modelled - satellite.observed
            counts, _ = np.histogram(difference, bounds)
            median = scale * satellite.statistics[Activity.ALL][row].differences.median()
            axes.stairs(
                100.0 * counts / difference.size,
                scale * bounds,
                color=COLOUR[row],
                ls=DASHES[row],
                lw=1.2,
                label=f"{row} ({median:+.2f})",
            )
            axes.plot([median], [0.0], "^", color=COLOUR[row], ms=6, clip_on=False, zorder=4)
            words.append(f"{satellite.satellite} {row} {median:+.2f}e{exponent}")
        axes.axvline(0.0, color="black", lw=0.7, zorder=1)
        axes.set_xlim(scale * bounds[0], scale * bounds[-1])
        axes.set_ylim(bottom=0.0)
        axes.set_title(f"{satellite.satellite} ({satellite.role})")
        axes.set_xlabel(f"modelled − observed density [$10^{{{exponent}}}$ kg m$^{{-3}}$]")
        axes.set_ylabel("points [%]")
        axes.legend(loc="best", title="row (median)", alignment="left")
    return Drawing(
        "histograms",
        "Differences from the observations",
        "Histograms of modelled minus observed density along the tracks; triangles: medians, which the legend gives "
        "in the unit of the axis. One per cent of the points lies outside.",
        f"Histograms of differences. Medians in kg m-3: {'; '.join(words)}.",
        figure,
    )
