"""Two-step assimilation of satellite accelerometer densities into thermosphere models.

In the order in which the data flow::

    experiments/*.yaml -> da.config -> da.cli
        -> da.preparation: da.drivers, da.tracks (da.twin)   indices, solar wind, along-track densities
        -> da.calibration (da.msis)                          step one: calibrated NRLMSIS on the data grid
        -> da.execution: da.cycle                            step two: forecasts of da.model and analyses
             da.observing (da.operators), da.analysis (da.localization, da.filters, da.inflation, da.constraints),
             all of it spread over processes by da.parallel
        -> da.recording (da.moments, da.storage)             ensemble means and spreads as CF netCDF, da.provenance
        -> da.verification                                   tables and figures along any satellite

Beside the flow: da.checking resolves an experiment without running it, da.doctor checks an installation, da.reporting
talks to the terminal, da.endings has the last word.

Importing this package imports nothing else: no MPI, no files, no network.
"""

__version__ = "0.1.0"
