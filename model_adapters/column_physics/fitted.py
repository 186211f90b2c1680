"""The few numbers of the model that are chosen, not derived, each with what it was chosen by.

Most come from the storm of 17 March 2013 in a run of TIE-GCM 2.0 (real Kp and F10.7, Heelis convection): one storm. The
Joule factor and the loss rate were looked at in the storm of 5 April 2010 and along CHAMP and GRACE in November 2002.
``benchmarks/free_run.py`` prints what the model does with them.
"""

from __future__ import annotations

JOULE_FACTOR = 1.15
"""Of the Joule power that :func:`model_adapters.column_physics.heating.joule_power_gw` gives: peaks of the global-mean
enhancement, 0.86 to 1.03 of TIE-GCM's from 200 to 474 km."""

EUV_FACTOR = 1.0
"""Of the response to F10.7; not fitted."""

EXPANSION_RATE = 1.0 / (40.0 * 3600.0)
"""Loss of temperature anomalies [s-1] to upwelling, circulation and mixing between columns, on all levels: recovery of
the global mean, 0.86 to 0.98 of TIE-GCM's time from 200 to 474 km."""

HORIZONTAL_DIFFUSIVITY = 8.0e8
"""K_h [m2 s-1]: the equator follows high latitudes after 3 h. Twice of it correlates better with TIE-GCM's maps, and
comes after 1.3 h."""

ROTATION_DEG_PER_H = -9.75
"""Motion of anomalies in geographic longitude: 0.35 of corotation is kept, the rest stays at its local time, as
TIE-GCM's enhancement did in the recovery of the storm."""

NITRIC_OXIDE_LAG_S = 12.0 * 3600.0
"""Time in which NO follows the auroral power; a choice, the storm did not tell."""
