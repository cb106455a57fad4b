"""The report of a dataset: one self-contained HTML page."""

from spectralearth_build.report.page import write_report

__all__ = ["write_report"]
