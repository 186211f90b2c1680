"""Whether two satellites agree, and how sure one is of it."""

from __future__ import annotations

import numpy as np
import pytest

from da.calibration import Agreement, ScaleFactors, agreement

START = np.datetime64("2010-04-04T00:00", "ns")
SECOND = np.timedelta64(1_000_000_000, "ns")


def factors(name: str, ln_factor: np.ndarray, first_h: float = 0.0, step_s: float = 60.0) -> ScaleFactors:
    seconds = 3600.0 * first_h + step_s * np.arange(ln_factor.size)
    return ScaleFactors(START + seconds.astype(np.int64) * SECOND, ln_factor, name)


def day(rng: np.random.Generator, days: float = 5.0) -> np.ndarray:
    return 0.05 * rng.standard_normal(round(1440 * days))


def test_that_the_ratio_of_two_satellites_is_found_with_outliers_and_weather_of_both(rng: np.random.Generator) -> None:
    ours, theirs = day(rng), day(rng)
    weather = 0.3 * np.sin(np.arange(ours.size) / 300.0)
    ours[::37] += 3.0
    found = agreement(factors("a", ours + weather + np.log(1.4)), factors("b", theirs + weather))
    # 0.05 * sqrt(2 pi / 2 / 90) is the standard error of the median of an interval's difference; of 80 of them a ninth.
    assert found.difference == pytest.approx(np.log(1.4), abs=0.01)
    assert found.error < 0.003
    assert found.intervals == 80
    assert found.beyond(0.1, 3.0)
    assert not found.beyond(0.35, 3.0)
    assert "a are 1.4" in found.describe
    back = agreement(factors("b", theirs + weather), factors("a", ours + weather + np.log(1.4)))
    assert (back.difference, back.error) == pytest.approx((-found.difference, found.error))


def test_that_the_error_is_that_of_many_pairs_and_grows_where_differences_are_alike(rng: np.random.Generator) -> None:
    def repeated(correlation: float) -> tuple[float, float]:
        found = []
        for _ in range(60):
            slow = np.zeros(160)
            for number in range(1, slow.size):
                slow[number] = correlation * slow[number - 1] + rng.standard_normal()
            ours = np.repeat(0.1 * slow, 9)
            found.append(agreement(factors("a", ours, step_s=600.0), factors("b", np.zeros(ours.size), step_s=600.0)))
        return float(np.std([one.difference for one in found])), float(np.median([one.error for one in found]))

    white, told_white = repeated(0.0)
    red, told_red = repeated(0.6)
    # 60 pairs know a standard deviation to 9 %; the correlation of 160 values is biased low.
    assert told_white == pytest.approx(white, rel=0.35)
    assert told_red == pytest.approx(red, rel=0.45)
    assert told_red > 1.7 * told_white


def test_that_satellites_that_hardly_measured_together_are_not_compared(rng: np.random.Generator) -> None:
    found = agreement(factors("a", day(rng, 2.0)), factors("b", 3.0 + day(rng, 2.0), first_h=44.0))
    assert found.intervals < 5
    assert not found.known
    assert not found.beyond(0.0, 1.0)
    assert "too short a time" in found.describe


def test_that_the_limit_is_the_accepted_difference_and_so_many_errors() -> None:
    found = Agreement("a", "b", -0.2, 0.02, 50)
    assert found.beyond(0.1, 4.9)
    assert not found.beyond(0.1, 5.1)
    assert not found.beyond(0.21, 0.001)
