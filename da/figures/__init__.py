"""Figures of a run for papers and reports; numbers are those of the figures in Corbin & Kusche (2022).

========================  ===========================================================================  ==========
module                    figure                                                                       number
========================  ===========================================================================  ==========
``scale_factors``         scale factors by argument of latitude and time, raw and filtered             3
``tracks``                densities along a track, orbit averages, Kp                                  4, 11
``profiles``              median density by height, with crossings and satellites                      5
``cells``                 time series at cells of the data grid                                        6, 7
``height_ratios``         adopted part of the innovation; ratios of standard deviations                8, 9
``increments``            increments as maps, with satellite, Sun and terminator                       10
``histograms``            differences from the observations                                            12
``track_maps``            bias along a track as maps
``sub_domains``           local observations and degrees of freedom of sub-domains as maps
``reliability``           error against spread, ranks of the observations, reliability diagrams
``lead_time``             skill by lead time
========================  ===========================================================================  ==========

Each function takes a run's folder, or what was read from it, and returns a :class:`da.figures.style.Drawing`: a figure
with title, caption and alternative text. A :class:`da.errors.ThermodaError` says what a run lacks for it.
:mod:`da.verification.analysis_records` and ``data_grid`` read the files; ``maps`` and ``coastline`` draw the world;
:mod:`da.figures.run_figures` makes all.
"""
