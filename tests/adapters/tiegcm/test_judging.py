"""What is found wrong with a history that a run left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netCDF4 import Dataset

from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.judging import finite_and_bounded

FIRST = np.datetime64("2002-03-22T00:00", "ns")
HISTORY = Callable[..., Path]


def _judged(path: Path, name: str, place: tuple[int, ...], value: float) -> list[str]:
    with Dataset(path, "r+") as dataset:
        dataset.set_auto_maskandscale(False)
        dataset[name][(0, *place)] = value
    return finite_and_bounded(path, FIRST)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_that_sound_histories_have_no_faults(
    tmp_path: Path, small_history: HISTORY, real_history: dict[str, Path], version: str
) -> None:
    assert finite_and_bounded(small_history(tmp_path / "a.nc", version), FIRST) == []
    real = real_history[version]
    assert finite_and_bounded(real, read_header(real).times[0]) == []


@pytest.mark.parametrize("name", ["TN", "UN_NM", "O1", "POTEN", "NE", "N4S", "TLBC", "PEDERSEN"])
def test_that_a_nan_in_any_field_known_or_not_is_a_fault(tmp_path: Path, small_history: HISTORY, name: str) -> None:
    path = small_history(tmp_path / "a.nc")
    place = (1, 2) if name == "TLBC" else (3, 1, 2)
    (fault,) = [one for one in _judged(path, name, place, np.nan) if name + " is" in one]
    assert fault.startswith(f"{path}: {name} is not finite in 1 of ")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TN", 99.0, "TN leaves [99.9, 5000] K in 1 values, up to 99"),
        ("TN_NM", 6000.0, "TN_NM leaves [99.9, 5000]"),
        ("TN", 1e36, "TN is missing in 1 of "),
        ("UN", -4e5, "UN leaves [-300000, 300000] cm/s in 1 values, up to -400000"),
        ("VN_NM", 4e5, "VN_NM leaves"),
        ("O2", -1e-6, "O2 leaves [0, 1] mmr in 1 values, up to -1e-06"),
        ("HE_NM", 1.5, "HE_NM leaves [0, 1]"),
        ("O1", 1e36, "O1 is missing"),
        ("TE", 3e4, "TE leaves"),
        ("Z", 1e36, "Z is missing"),
        ("O1", 0.999, "O1 + O2 + HE exceeds one in 1 values"),
    ],
)
def test_that_a_value_out_of_bounds_or_missing_is_a_fault(
    tmp_path: Path, small_history: HISTORY, name: str, value: float, words: str
) -> None:
    faults = _judged(small_history(tmp_path / "a.nc"), name, (3, 1, 2), value)
    assert any(words in fault for fault in faults), faults


def test_that_the_highest_slot_of_the_mass_fractions_must_hold_data_and_that_of_temperature_need_not(
    tmp_path: Path, small_history: HISTORY
) -> None:
    path = small_history(tmp_path / "a.nc")
    assert _judged(path, "TN", (-1, 0, 0), np.nan) == []
    assert any("HE is missing in 1 of" in fault for fault in _judged(path, "HE", (-1, 0, 0), 1e36))


def test_that_other_records_do_not_count(tmp_path: Path, small_history: HISTORY) -> None:
    later = FIRST + np.timedelta64(1, "h")
    path = small_history(tmp_path / "a.nc", times=(FIRST, later))
    assert _judged(path, "TN", (0, 0, 0), np.nan) != []
    assert finite_and_bounded(path, later) == []


def test_that_a_missing_time_an_absent_and_a_damaged_file_are_faults_and_no_exceptions(
    tmp_path: Path, small_history: HISTORY
) -> None:
    path = small_history(tmp_path / "a.nc")
    (fault,) = finite_and_bounded(path, FIRST + np.timedelta64(1, "h"))
    assert fault == f"{path}: has no history of 2002-03-22T01:00:00; it holds 2002-03-22T00:00:00"
    (fault,) = finite_and_bounded(tmp_path / "none.nc", FIRST)
    assert "there is no such file" in fault
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 100)
    (fault,) = finite_and_bounded(path, FIRST)
    assert "is cut short" in fault
