r"""What TIE-GCM demands of a state before it starts from it, and how an analysed one is made to comply.

Only values that the analysis changed are touched: what the model wrote itself stays bit for bit, even where it lies
beyond its own limits by rounding (N2 just below its minimum) or by the time filter (T_e below T by some 0.1 K).

The demands:

- T >= 100 K, and T_e, T_i >= T: electrons and ions are heated by the sun and cooled by the neutrals.
- Each mass fraction at or above its minimum, and that of N2 = 1 - O - O2 - He too: a sum above one makes winds and
  potential NaN after three steps while the run still ends normally.
- The lower boundary. At the bottom interface, half a step below the lowest level, the model imposes
  :math:`w_{O2} + w_O = 0.234`, :math:`dw_O/dz = w_O` and :math:`w_{He} = 1.154\cdot 10^{-6}`; the value below the
  interface is eliminated, so that the relations hold there for any values on file. What can be broken is nearness: in
  histories O2 + O of the lowest level lies within 1.5 % of 0.234, and only slow mixing would bring it back. So
  O of the lowest level is free (its relation fixes a gradient, not a value), O2 gives what O takes, and He stays:
  O + O2, He and N2 of the lowest level are kept as the model had them. The temperature there is free: its boundary
  value is TLBC, an input of the model half a step below, which an analysis does not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_adapters.tiegcm.history import COMPOSITION, PREVIOUS_STEP
from model_adapters.tiegcm.model_time import Version

FloatArray = NDArray[np.float64]
Fields = Mapping[str, FloatArray]

LOWEST_TEMPERATURE_K = 100.0
"""The model's own lower limit of TN."""


@dataclass(frozen=True)
class SpeciesLimits:
    """Minima of the mass fractions.

    Parameters
    ----------
    lowest : dict of variable -> float
        For O1, O2 and HE.
    lowest_n2 : float
        For N2, the rest.
    """

    lowest: Mapping[str, float]
    lowest_n2: float


LIMITS: dict[Version, SpeciesLimits] = {
    "2.0": SpeciesLimits({"O1": 1e-6, "O2": 1e-6, "HE": 1e-9}, 1e-6),
    "3.0": SpeciesLimits({"O1": 1e-9, "O2": 1e-9, "HE": 1e-9}, 1e-9),
}
"""The model's own minima by version (its routine comp)."""


def admissible(version: Version, before: Fields, wanted: Fields) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return fields that the model accepts, nearest to the wanted ones in the sense of this module.

    Parameters
    ----------
    version : {"2.0", "3.0"}
    before : dict of variable -> array (levels, latitudes, longitudes, ...)
        Fields of the model: TN, O1, O2, HE, their twins of the previous step, TE and TI; slots without data as on file.
    wanted : dict of variable -> array of the same shape
        Analysed fields: those of ``before`` but TE and TI.

    Returns
    -------
    fields : dict of variable -> array
        All of ``before``. A value that ``wanted`` does not change is that of ``before``, but that TE and TI rise with
        TN, and that all species of a cell follow where one of them changes.
    limited : dict of constraint -> int
        Number of values that each constraint changed.
    """
    fields: dict[str, FloatArray] = {}
    limited: dict[str, int] = {}
    for step in ("", PREVIOUS_STEP):
        name = "TN" + step
        warm_enough = np.maximum(wanted[name], LOWEST_TEMPERATURE_K)
        fields[name] = np.where(differs(wanted[name], before[name]), warm_enough, before[name])
        limited[f"{name} >= {LOWEST_TEMPERATURE_K:g} K"] = count_changes(wanted[name], fields[name])
        names = tuple(species + step for species in COMPOSITION)
        composition, counts = _composition(LIMITS[version], before, wanted, names)
        fields.update(composition)
        limited.update(counts)
    for name in ("TE", "TI"):
        fields[name] = before[name].copy()
        risen = differs(fields["TN"], before["TN"]) & (before[name] < fields["TN"])
        fields[name][risen] = fields["TN"][risen]
        limited[f"{name} >= TN"] = int(np.count_nonzero(risen))
    return fields, limited


def differs(new: FloatArray, old: FloatArray) -> NDArray[np.bool_]:
    """Return where two fields differ; junk in slots without data, NaN among it, does not differ from itself."""
    return np.asarray((new != old) & ~(np.isnan(new) & np.isnan(old)))


def count_changes(old: FloatArray, new: FloatArray) -> int:
    """Return in how many values two fields differ."""
    return int(np.count_nonzero(differs(new, old)))


def _composition(
    limits: SpeciesLimits, before: Fields, wanted: Fields, names: tuple[str, ...]
) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return admissible mass fractions O, O2, He of one time level, and what was limited."""
    old, new = tuple(before[name] for name in names), tuple(wanted[name] for name in names)
    lowest = tuple(limits.lowest[species] for species in COMPOSITION)
    bottom = _lower_boundary([values[0] for values in old], [values[0] for values in new], lowest)
    changed = np.any([values[1:] != was[1:] for values, was in zip(new, old, strict=True)], axis=0)
    raised = [
        np.where(changed, np.maximum(values[1:], bound), values[1:]) for values, bound in zip(new, lowest, strict=True)
    ]
    closed, excess = _leave_room(raised, changed, lowest, 1.0 - limits.lowest_n2)
    counts = {
        f"lower boundary of {', '.join(names)}": _changes([values[0] for values in new], bottom),
        f"minima of {', '.join(names)}": _changes([values[1:] for values in new], raised),
        f"{' + '.join(names)} <= 1 - {limits.lowest_n2:g}": excess,
    }
    result = [np.concatenate([low[None], high]) for low, high in zip(bottom, closed, strict=True)]
    return dict(zip(names, result, strict=True)), counts


def _lower_boundary(
    old: Sequence[FloatArray], new: Sequence[FloatArray], lowest: Sequence[float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return O, O2 and He of the lowest level: O2 gives what O takes, within the minima of both; He stays."""
    least = np.minimum(old[0], lowest[0])
    most = np.maximum(old[0] + (old[1] - lowest[1]), old[0])
    oxygen = np.where(new[0] != old[0], np.clip(new[0], least, most), old[0])
    # The minimum again: next to 0.2, a difference is rounded by more than a part of it.
    molecular = np.maximum(old[1] - (oxygen - old[0]), np.minimum(old[1], lowest[1]))
    return oxygen, molecular, old[2]


def _leave_room(
    fractions: Sequence[FloatArray], changed: NDArray[np.bool_], lowest: Sequence[float], room: float
) -> tuple[list[FloatArray], int]:
    """Return fractions scaled down, where they changed and sum to more than ``room``; and in how many cells.

    What is scaled is the part above each minimum, so that no minimum is broken and the ratios of these parts are kept.
    """
    total = np.sum(fractions, axis=0)
    excess = changed & (total > room)
    scale = (room - sum(lowest)) / np.where(excess, total - sum(lowest), 1.0)
    return [
        np.where(excess, bound + (values - bound) * scale, values)
        for values, bound in zip(fractions, lowest, strict=True)
    ], int(np.count_nonzero(excess))


def _changes(old: Sequence[FloatArray], new: Sequence[FloatArray]) -> int:
    return sum(count_changes(was, now) for was, now in zip(old, new, strict=True))
