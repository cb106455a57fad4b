"""A page beside Dask's dashboard with the totals of jobs, for the scheduler.

Dask's own pages show only the tasks that the scheduler has, which are a few more than there are threads. The driver of
a job knows them all: it sends its totals, and this page shows them. The page needs no Bokeh, so it is also there where
Dask's dashboard is switched off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from distributed import SchedulerPlugin
from jinja2 import Environment, PackageLoader, StrictUndefined
from tornado.web import RequestHandler

from spectralearth_build.cluster.job_metrics import expose
from spectralearth_build.texts import duration

NAME = "spectralearth"
"""Path of the page below the address of the dashboard; NAME.json has the same as JSON."""
RECEIVE = "spectralearth_build_totals"
"""What the scheduler calls the function that receives totals."""
KEPT = 20
"""Number of jobs on the page, the latest ones."""


class JobPage(SchedulerPlugin):
    """Receives the totals of jobs, and serves them at ``/spectralearth``, as JSON, and as metrics of Prometheus.

    A scheduler has one such page for all its jobs, until it ends. If there is one, another is not added.
    """

    name = "spectralearth-build-totals"
    idempotent = True

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        """The jobs in the order in which they began, by their names."""
        self.beside_dashboard = False
        """Whether the scheduler has Dask's dashboard too."""

    async def start(self, scheduler: Any) -> None:  # noqa: ANN401
        """Add the page to the scheduler. Dask calls this there."""
        scheduler.handlers[RECEIVE] = self.receive
        rule = rf"(?:/.*)?/{NAME}(\.json)?"  # the dashboard may have a prefix
        scheduler.http_application.add_handlers(r".*$", [(rule, JobPageHandler, {"page": self})])
        if scheduler.http_application.applications:  # Dask's own pages
            from distributed.dashboard.scheduler import template_variables

            template_variables(scheduler)["pages"].append(NAME)  # a link on each of them
            self.beside_dashboard = True
        expose(self.latest)

    def receive(self, totals: Mapping[str, Any]) -> None:
        """Take what a driver sends: the whole state of its job."""
        name = totals["name"]
        self.jobs[name] = {**totals, "heard": time.time()}
        while len(self.jobs) > KEPT:
            del self.jobs[next(iter(self.jobs))]

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ANN401
        """Note that a driver is gone. Dask calls this."""
        for job in self.jobs.values():
            if job["client"] == client and job["state"] == "running":
                job["state"] = "gone"

    def latest(self) -> list[dict[str, Any]]:
        """Return the latest job of each command and dataset."""
        return list({(job["verb"], job["dataset"]): job for job in self.jobs.values()}.values())


class JobPageHandler(RequestHandler):
    """Serves the page."""

    def initialize(self, page: JobPage) -> None:
        """Take the page. Tornado calls this."""
        self.page = page

    def get(self, as_json: str | None) -> None:
        """Answer a request."""
        if as_json:
            self.write({"jobs": list(self.page.jobs.values())})
        else:
            self.write(render(list(self.page.jobs.values()), time.time(), self.page.beside_dashboard))


def render(jobs: list[dict[str, Any]], now: float, dashboard: bool) -> str:
    """Render the page as HTML, the latest job first, with links to Dask's dashboard if there is one."""
    environment = Environment(
        loader=PackageLoader("spectralearth_build.cluster", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"n": "{:,}".format, "duration": duration}
    return environment.get_template("job_page.html").render(jobs=jobs[::-1], now=now, dashboard=dashboard)
