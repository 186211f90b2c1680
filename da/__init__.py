"""Two-step assimilation of satellite accelerometer densities into thermosphere models.

In the order in which the data flow::

    experiments/*.yaml -> da.config -> da.cli
        -> da.drivers, da.tracks                       indices, solar wind, along-track densities
        -> da.calibration                              step one: calibrated NRLMSIS on the data grid
        -> da.cycle (da.model, da.operators, da.localization, da.filters, da.inflation, da.constraints, da.parallel)
        -> da.storage -> da.verification               netCDF, tables, figures

Importing this package imports nothing else: no MPI, no files, no network.
"""

__version__ = "0.1.0"
