"""The few units in which density products give altitude, angle and density."""

from __future__ import annotations

from da.errors import ThermodaError

_SPELLING = str.maketrans({"^": "", "*": "", " ": "", ".": ""})

_TO_KM = {"m": 1e-3, "meter": 1e-3, "meters": 1e-3, "metre": 1e-3, "metres": 1e-3, "km": 1.0, "kilometer": 1.0}
_TO_KG_M3 = {"kg/m3": 1.0, "kgm-3": 1.0, "g/cm3": 1e3, "gcm-3": 1e3}
_TO_DEG = {
    "deg": 1.0,
    "degree": 1.0,
    "degrees": 1.0,
    "degrees_north": 1.0,
    "degrees_east": 1.0,
    "degree_north": 1.0,
    "degree_east": 1.0,
}


def km_per(unit: str, where: str) -> float:
    """Return how many km one ``unit`` of length is; ``where`` names file and column for the message.

    Raises
    ------
    ThermodaError
        If the unit is not a known one.
    """
    return _factor(_TO_KM, unit, where, "m or km")


def kg_m3_per(unit: str, where: str) -> float:
    """Return how many kg m-3 one ``unit`` of density is; ``where`` names file and column for the message.

    Raises
    ------
    ThermodaError
        If the unit is not a known one.
    """
    return _factor(_TO_KG_M3, unit, where, "kg/m3 or g/cm3")


def degrees_per(unit: str, where: str) -> float:
    """Return how many degrees one ``unit`` of angle is; ``where`` names file and column for the message.

    Raises
    ------
    ThermodaError
        If the unit is not a known one.
    """
    return _factor(_TO_DEG, unit, where, "deg")


def _factor(table: dict[str, float], unit: str, where: str, expected: str) -> float:
    factor = table.get(unit.strip().translate(_SPELLING).lower())
    if factor is None:
        raise ThermodaError(f"{where}: unit '{unit}' is not understood, expected {expected}")
    return factor
