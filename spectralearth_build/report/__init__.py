"""The report of a dataset: one HTML page that needs nothing but a browser."""

from spectralearth_build.report.page import write_report

__all__ = ["write_report"]
