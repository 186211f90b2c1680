"""The few amplitudes and times of the model that are fitted, not derived, each with what it was fitted to.

They were chosen on the storm of 17 March 2013 in a run of TIE-GCM 2.0 (real Kp and F10.7, Heelis convection) and on the
response of NRLMSIS 2.1 to F10.7; ``benchmarks/free_run.py`` prints what the model does with them.
"""

from __future__ import annotations

JOULE_FACTOR = 1.15
"""Of the Joule power that the drivers give by :func:`model_adapters.column_physics.heating.joule_power_gw`."""

EUV_FACTOR = 1.0
"""Of the response to F10.7."""

EXPANSION_RATE = 1.0 / (40.0 * 3600.0)
"""Loss of temperature anomalies [s-1] to upwelling, circulation and mixing between columns, on all levels."""

HORIZONTAL_DIFFUSIVITY = 8.0e8
"""K_h [m2 s-1]."""

ROTATION_DEG_PER_H = -9.75
"""Motion of anomalies in geographic longitude: 0.35 of corotation is kept, the rest stays at its local time."""

NITRIC_OXIDE_LAG_S = 12.0 * 3600.0
"""Time in which NO follows the auroral power."""
