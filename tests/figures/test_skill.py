"""Figures of skill: histograms of differences, reliability, lead time, several runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from da.figures.comparison import comparison_drawing
from da.figures.histograms import difference_bins, histogram_drawing
from da.figures.lead_time import lead_time_drawing
from da.figures.reliability import reliability_drawing
from da.figures.tracks import analysis_times
from da.verification.details import EvaluationDetails, details
from da.verification.evaluation import Evaluation, Row, evaluate


@pytest.fixture(scope="module")
def evaluation(small_run: Path) -> Evaluation:
    return evaluate(small_run)


@pytest.fixture(scope="module")
def found(small_run: Path, evaluation: Evaluation) -> EvaluationDetails:
    return details(evaluation, small_run)


def test_that_histograms_count_the_points_of_every_row(evaluation: Evaluation) -> None:
    figure = histogram_drawing(evaluation).figure
    for axes, satellite in zip(figure.axes, evaluation.satellites, strict=True):
        bounds = difference_bins(satellite)
        for patch, (row, modelled) in zip(axes.patches, satellite.modelled.items(), strict=True):
            assert patch.get_label().startswith(f"{row} (")
            counts, _ = np.histogram(modelled - satellite.observed, bounds)
            np.testing.assert_allclose(patch.get_data().values, 100.0 * counts / satellite.observed.size)
            assert patch.get_data().values.sum() <= 100.0 + 1e-9


def test_that_error_is_drawn_against_spread(found: EvaluationDetails) -> None:
    figure = reliability_drawing(found).figure
    axes = figure.axes[0]
    line = next(line for line in axes.get_lines() if line.get_label() == str(Row.OPEN_LOOP))
    # Relative spread 0.2: variance ln(1.04); open loop 1.5 of the profile, observations 1.05.
    variance = np.log(1.04)
    assert line.get_xdata()[0] == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert line.get_ydata()[0] == pytest.approx(abs(np.log(1.05 / 1.5) + 0.5 * variance), rel=1e-6)
    ranks = {patch.get_label(): patch.get_data().values for patch in figure.axes[1].patches}
    # All observations lie 1.7 standard deviations below the open loop: in the first tenth.
    np.testing.assert_allclose(ranks[str(Row.OPEN_LOOP)], [10.0, *[0.0] * 9], atol=1e-12)


def test_that_free_forecasts_stand_beside_the_cycled_ones(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    shutil.copy(run / "open_loop.nc", run / "free_forecast_1.nc")
    both = details(evaluate(run), run)
    errors = both.free_forecasts[1].rms_log_ratio()
    # The copy of the open loop is 1.5 of the profile, the persisted factor gives the profile, observations are 1.05.
    np.testing.assert_allclose(errors[Row.FORECAST][0], np.log(1.5 / 1.05), rtol=1e-6)
    np.testing.assert_allclose(errors[Row.PERSISTED][0], np.log(1.05), rtol=1e-9)
    figure = lead_time_drawing(both, analysis_times(run)).figure
    assert len(figure.axes) == 4
    line = next(line for line in figure.axes[3].get_lines() if line.get_label() == str(Row.FORECAST))
    np.testing.assert_array_equal(line.get_ydata(), errors[Row.FORECAST])


def test_that_runs_stand_side_by_side_with_their_intervals(found: EvaluationDetails) -> None:
    axes = comparison_drawing({"first": found, "second": found}).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "second"]
    dots = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert len(dots) == 2 * len(Row)
    assert float(dots[0].get_xdata()[0]) == pytest.approx(abs(np.log(1.05 / 1.25)))
