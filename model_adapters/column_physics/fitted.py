"""The few numbers of the model that are chosen, not derived, each with what it was chosen by.

Most come from the storm of 17 March 2013 in a run of TIE-GCM 2.0 (real Kp and F10.7, Heelis convection): one storm, by
``benchmarks/calibrate.py``, which fits them to any other run in the same way. The recovery was balanced with that of
the storm of 5 April 2010, which a fit to TIE-GCM alone would make too slow; November 2002 along CHAMP and GRACE was
looked at.
``benchmarks/free_run.py`` prints what the model does with them.
"""

from __future__ import annotations

JOULE_FACTOR = 1.22
"""Of the Joule power that :func:`model_adapters.column_physics.heating.joule_power_gw` gives: peaks of the global-mean
enhancement."""

EUV_FACTOR = 2.0
"""Of the heating per sfu that :mod:`~model_adapters.column_physics.euv` gives: the response of NRLMSIS 2.1 to 10 sfu at
200 to 474 km, in the mean of solar minimum (1.8) and maximum (2.3) and of three seasons. It makes up for the loss
below, which takes from slow changes what a real thermosphere keeps."""

NITRIC_OXIDE_GAIN_PER_GW = 0.004
"""g of :mod:`~model_adapters.column_physics.cooling`: hemispheric power 250 GW above the quiet one, held for days,
brings as much NO as medium solar activity. The storm cannot tell it from the loss below; larger values cool too much at
solar maximum, where NRLMSIS is the measure, and make more hemispheric power cool on quiet days."""

NITRIC_OXIDE_LAG_S = 24.0 * 3600.0
"""Time in which NO follows the auroral power: the order of its lifetime in sunlight (Barth et al. 2003,
doi:10.1029/2002JA009458). The storm itself does not tell; longer lags recover faster after it."""

EXPANSION_RATE = 1.0 / (23.0 * 3600.0)
"""Loss of temperature anomalies [s-1] to upwelling, circulation and mixing between columns: recovery of the global
mean, in 2013 and, with less NO, in 2010."""

EXPANSION_BOTTOM_ZP = -5.0
"""Below this level it fades, as recovery is slower there."""

OVERTURNING_RATE = 1.0 / (72.0 * 3600.0)
"""At which the circulation replaces the air of a column by air in balance with its lower boundary [s-1]: composition
anomalies would last for weeks by diffusion alone, and last for days after storms. A choice."""

WAVE_SPEED = 520.0
"""c [m s-1]: the lag of low behind high latitudes. Zonal means alone would have 620 to 740 from 200 to 474 km."""

WAVE_DRAG_RATE = 1.0 / (8.0 * 3600.0)
"""f_w [s-1]: how long the globe rings; maps of the enhancement."""

HORIZONTAL_DIFFUSIVITY = 2.0e8
"""K_h [m2 s-1] of anomalies and of the wave: fitted to the same."""

SEASONAL_WIND_M_S = 30.0
"""Wind across the equator at solstice, from summer to winter, that carries anomalies. A choice, of the size of zonal
means; March says nothing of it."""

ROTATION_DEG_PER_H = -9.75
"""Motion of anomalies in geographic longitude: 0.35 of corotation is kept, the rest stays at its local time, as
TIE-GCM's enhancement did in the recovery of the storm."""
