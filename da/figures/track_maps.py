"""Maps of the bias along a satellite's track, one per row of the evaluation."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from da.figures.maps import draw_field, draw_world, symmetric
from da.figures.style import WIDTH_IN, Drawing, in_style
from da.verification.evaluation import Row, SatelliteEvaluation

FloatArray = NDArray[np.float64]

LATITUDE_STEP = 10.0
LONGITUDE_STEP = 20.0


def mean_log_ratio(satellite: SatelliteEvaluation, row: Row) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return middles of latitudes and longitudes [degrees] and mean ln(observed/modelled) (latitudes, longitudes).

    Cells of 10 x 20 degrees; NaN without points.
    """
    rows, columns = int(180.0 / LATITUDE_STEP), int(360.0 / LONGITUDE_STEP)
    north = np.minimum((satellite.points.latitude + 90.0) // LATITUDE_STEP, rows - 1).astype(np.int64)
    east = (np.mod(satellite.points.longitude + 180.0, 360.0) // LONGITUDE_STEP).astype(np.int64)
    place = north * columns + np.minimum(east, columns - 1)
    ratio = np.log(satellite.observed / satellite.modelled[row])
    count, total = (np.bincount(place, weights, rows * columns) for weights in (None, ratio))
    mean = np.divide(total, count, out=np.full(total.size, np.nan), where=count > 0)
    latitude: FloatArray = -90.0 + LATITUDE_STEP * (np.arange(rows, dtype=np.float64) + 0.5)
    longitude: FloatArray = -180.0 + LONGITUDE_STEP * (np.arange(columns, dtype=np.float64) + 0.5)
    return latitude, longitude, np.asarray(mean.reshape(rows, columns))


@in_style
def bias_map_drawing(satellite: SatelliteEvaluation) -> Drawing:
    """Return maps of the mean ln(observed/modelled) along one satellite's track.

    Parameters
    ----------
    satellite : SatelliteEvaluation
    """
    fields = {row: mean_log_ratio(satellite, row) for row in satellite.modelled}
    scale = symmetric(np.stack([values for *_, values in fields.values()]))
    figure = Figure(figsize=(WIDTH_IN, 5.6), layout="constrained")
    panels = figure.subplots(3, 2, sharex=True, sharey=True)
    places = [(number, column) for column in range(2) for number in range(3)]
    for (number, column), (row, (latitude, longitude, values)) in zip(places, fields.items(), strict=False):
        axes = panels[number, column]
        mesh = draw_field(axes, latitude, longitude, values, scale, mpl.colormaps["RdBu_r"])
        draw_world(axes, left=column == 0, bottom=number == 2)
        axes.set_title(f"{row}: mean {np.mean(np.log(satellite.observed / satellite.modelled[row])):+.3f}")
    for number, column in places[len(fields) :]:
        panels[number, column].set_axis_off()
    figure.colorbar(mesh, ax=panels, extend="both", aspect=40, pad=0.02, label="mean ln(observed/modelled)")
    spreads = ", ".join(f"{row} {np.nanstd(values):.3f}" for row, (*_, values) in fields.items())
    return Drawing(
        f"{satellite.key}_bias_map",
        f"{satellite.satellite}: bias along the track",
        f"Mean ln(observed/modelled) in cells of {LATITUDE_STEP:g}° by {LONGITUDE_STEP:g}°; red: the model is "
        "too thin. In a run of some days, longitude stands for time of day and for the date as much as for the place.",
        f"World maps of the bias. Standard deviation over the cells: {spreads}.",
        figure,
    )
