"""The report of one or several runs: one self-contained HTML page, with its figures as files beside it.

In the order in which the data flow::

    reported_run -> findings, configuration, run_tables -> page (markup, report.css) -> writing
"""

from da.report.writing import write_report

__all__ = ["write_report"]
