"""A short, made-up space weather table in CelesTrak's CSV layout, and the text that the package ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from da.drivers.geomagnetic import AP_OF_KP_THIRDS
from da.drivers.space_weather_table import shipped_tables

HEADING = (
    "DATE,BSRN,ND,KP1,KP2,KP3,KP4,KP5,KP6,KP7,KP8,KP_SUM,AP1,AP2,AP3,AP4,AP5,AP6,AP7,AP8,AP_AVG,CP,C9,ISN,"
    "F10.7_OBS,F10.7_ADJ,F10.7_DATA_TYPE,F10.7_OBS_CENTER81,F10.7_OBS_LAST81,F10.7_ADJ_CENTER81,F10.7_ADJ_LAST81"
)


def csv_row(date: str, thirds: np.ndarray, f107: float, mean: float, kind: str = "OBS") -> str:
    """Return one row; everything that must not be read is a recognisable 999."""
    kp = [str(round(10 * int(value) / 3)) for value in thirds]
    ap = [str(AP_OF_KP_THIRDS[int(value)]) for value in thirds]
    fields = [date, "2400", "1", *kp, "999", *ap, "999", "1.0", "5", "99", f"{f107}", "999.0", kind, f"{mean}"]
    return ",".join([*fields, "999.0", "999.0", "999.0"])


@pytest.fixture
def shipped_text() -> Path:
    """The long text table inside the installed package."""
    return next(path for path in shipped_tables() if path.name == "SW-All.txt")


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Write ten days from 2010-04-01: Kp thirds 0..79 modulo 28, F10.7 100, 101, ..., means 200, 201, ..."""

    def write(predicted_from: int = 10, edit: Callable[[list[str]], list[str]] = lambda lines: lines) -> Path:
        thirds = (np.arange(80) % 28).reshape(10, 8)
        rows = [
            csv_row(f"2010-04-{i + 1:02d}", thirds[i], 100 + i, 200 + i, "OBS" if i < predicted_from else "PRD")
            for i in range(10)
        ]
        path = tmp_path / "SW-Last5Years.csv"
        path.write_text("\n".join(edit([HEADING, *rows])) + "\n")
        return path

    return write
