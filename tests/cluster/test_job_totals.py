"""The page beside Dask's dashboard, and the metrics, say what the driver counts."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import dask
import pytest
from distributed import Client, LocalCluster
from prometheus_client.parser import text_string_to_metric_families

from spectralearth_build.cluster import connect, job_totals
from spectralearth_build.cluster.job_metrics import metrics
from spectralearth_build.cluster.job_page import KEPT, NAME, JobPage, render
from spectralearth_build.config import RunConfig
from spectralearth_build.runlog.writing import recorded
from tests.support import worker_tasks as tasks
from tests.support.processes import started, wait_for


def fetched(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def page_of(said):
    (address,) = re.findall(rf"totals (http://127\.0\.0\.1:\d+\S*/{NAME})$", said, re.MULTILINE)
    return address


def jobs_at(page):
    return json.loads(fetched(f"{page}.json"))["jobs"]


def cells(html):
    """The text of the rows of the tables of a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
            for row in rows if "<td" in row]  # fmt: skip


def samples(page):
    """The project's metrics of the scheduler that serves the page, by name and stage."""
    text = fetched(page.replace(f"/{NAME}", "/metrics"))
    return {
        (sample.name, sample.labels.get("stage", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("spectralearth_build_")
    }


@pytest.mark.slow
def test_the_page_and_the_metrics_count_the_whole_job_and_not_only_what_dask_has(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(job_totals, "INTERVAL", 0.0)
    work = {f"t{n}": ("square", n) if n % 10 else ("bug",) for n in range(200)}
    settings = RunConfig(workers=1, dashboard="127.0.0.1:0")
    with recorded(tmp_path / "<d>", "build"), connect(settings) as executor:
        page = page_of(capsys.readouterr().out)
        assert jobs_at(page) == []
        assert "No job has begun" in fetched(page)
        list(executor.run("scan", tasks.call, {"a": ("square", 2), "b": ("square", 3)}))
        steps = executor.run("cut", tasks.call, work)
        for _ in range(100):
            next(steps)
        executor_totals = executor.inner.totals
        executor_totals._wait()
        executor_totals.tell(now=True)
        executor_totals._wait()
        (job,) = jobs_at(page)
        scan, cut = job["stages"]
        assert (job["verb"], job["dataset"], job["pid"], job["state"]) == (
            "build", str(tmp_path / "<d>"), os.getpid(), "running"
        )  # fmt: skip
        assert (scan["name"], scan["tasks"], scan["done"], scan["failed"], scan["left"]) == (
            "scan",
            2,
            2,
            0,
            None,
        )
        assert (cut["name"], cut["tasks"]) == ("cut", 200)
        assert cut["done"] + cut["failed"] == 100
        assert (
            cut["failed"] >= 5
        )  # of 10 in the first 100; one thread, but Dask may change their order a little
        assert cut["rate"] > 0
        assert cut["left"] > 0
        html = fetched(page)
        assert "build" in html
        assert "&lt;d&gt;" in html
        assert "<d>" not in html
        rows = cells(html)
        assert [row[0] for row in rows] == ["scan", "cut"]
        assert rows[1][2:5] == [str(cut["done"]), "200", str(cut["failed"])]
        assert (
            samples(page).items()
            >= {
                ("spectralearth_build_running", ""): 1,
                ("spectralearth_build_tasks", "cut"): 200,
                ("spectralearth_build_tasks_done_total", "cut"): cut["done"],
                ("spectralearth_build_tasks_failed_total", "cut"): cut["failed"],
                ("spectralearth_build_tasks_done_total", "scan"): 2,
            }.items()
        )
        assert 'href="status"' in html
        assert f'href="{NAME}"' in fetched(page.replace(f"/{NAME}", "/status"))  # a link on Dask's pages
        assert len(list(steps)) == 100
    with pytest.raises(urllib.error.URLError):
        fetched(page)


def scheduler(**options):
    """A cluster in this process, so its worker has all of the memory that tests before this one took."""
    options = {"threads_per_worker": 1, "memory_limit": "1 TiB", "dashboard_address": "127.0.0.1:0"} | options
    return LocalCluster(n_workers=1, host="127.0.0.1", processes=False, protocol="tcp", **options)


def test_runs_on_an_existing_cluster_share_one_page(tmp_path, capsys):
    with scheduler(scheduler_kwargs={"dashboard": False}) as cluster:
        for name in ("one", "two"):
            with (
                recorded(tmp_path / name, "cut"),
                connect(RunConfig(scheduler=cluster.scheduler_address)) as run,
            ):
                page = page_of(capsys.readouterr().out)
                list(run.run("cut", tasks.square, {"k": (3,)}))
        wait_for(lambda: [job["state"] for job in jobs_at(page)] == ["done", "done"])
        assert 'href="status"' not in fetched(page)  # Dask's dashboard is off
        assert [job["dataset"] for job in jobs_at(page)] == [str(tmp_path / "one"), str(tmp_path / "two")]
        with pytest.raises(ValueError, match="mine"), connect(RunConfig(scheduler=cluster.scheduler_address)):
            raise ValueError("mine")
        capsys.readouterr()


DRIVER = """
import sys, time
from pathlib import Path
from spectralearth_build.cluster import connect
from spectralearth_build.config import RunConfig
from spectralearth_build.runlog.writing import recorded
with recorded(Path(sys.argv[2]), "cut"), connect(RunConfig(scheduler=sys.argv[1])) as executor:
    for key, outcome in executor.run("cut", abs, {"k": (3,), "l": (4,)}):
        time.sleep(600)
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_is_told(tmp_path):
    with scheduler() as cluster:
        page = cluster.dashboard_link.replace("/status", f"/{NAME}")
        with started([sys.executable, "-c", DRIVER, cluster.scheduler_address, tmp_path]) as driver:
            wait_for(lambda: (tmp_path / "work/logs").exists())
            wait_for(lambda: [job["state"] for job in jobs_at(page)] == ["running"])
            driver.send_signal(signal.SIGKILL)
        wait_for(lambda: [job["state"] for job in jobs_at(page)] == ["gone"])
        assert "its driver has gone" in fetched(page)


def test_a_scheduler_that_takes_no_plugins_runs_the_tasks_all_the_same(capsys):
    with (
        dask.config.set({"distributed.scheduler.blocked-handlers": ["register_scheduler_plugin"]}),
        scheduler() as cluster,
        connect(RunConfig(scheduler=cluster.scheduler_address)) as executor,
    ):
        assert dict(executor.run("scan", tasks.square, {"k": (3,)})) == {"k": 9}
    said = capsys.readouterr().out
    assert said.count("The scheduler shows no totals of the job") == 1
    assert f"/{NAME}" not in said


def test_a_scheduler_that_does_not_take_totals_holds_nothing_up(monkeypatch):
    with scheduler() as cluster, connect(RunConfig(scheduler=cluster.scheduler_address)) as executor:
        cluster.scheduler.handlers.pop("spectralearth_build_totals")
        assert len(list(executor.run("scan", tasks.square, {f"k{n}": (n,) for n in range(5)}))) == 5


def job(number, stages=(), state="running"):
    return {
        "name": f"j{number}", "verb": "build", "dataset": "/d", "host": "h", "pid": 1, "client": f"c{number}",
        "state": state, "stages": list(stages),
    }  # fmt: skip


def stage(name, **changes):
    return {
        "name": name,
        "tasks": 10,
        "done": 4,
        "failed": 1,
        "rate": 0.5,
        "seconds": 9,
        "left": 10,
    } | changes


def test_a_page_keeps_the_latest_jobs():
    page = JobPage()
    for number in range(KEPT + 5):
        page.receive(job(number))
        page.receive(job(number))
    assert list(page.jobs) == [f"j{number}" for number in range(5, KEPT + 5)]
    assert [each["name"] for each in page.latest()] == [f"j{KEPT + 4}"]


def test_a_driver_that_goes_leaves_its_last_totals():
    page = JobPage()
    for number, state in ((1, "running"), (2, "done"), (3, "running")):
        page.receive(job(number, state=state))
    for client in ("c1", "c2"):
        page.remove_client(None, client)
    assert [each["state"] for each in page.jobs.values()] == ["gone", "done", "running"]


def test_the_time_left_is_that_of_running_jobs_only():
    def left(state):
        ((*_, cell),) = cells(render([job(1, [stage("cut")], state) | {"heard": 0.0}], 1.0, dashboard=True))
        return cell

    assert left("running") == "10 s"
    assert left("gone") == left("done") == ""


def test_a_stage_that_ran_twice_is_one_in_the_metrics():
    twice = [stage("scan", left=None, done=9), stage("cut"), stage("scan", tasks=2, done=1, left=3)]
    found = {
        (sample.name, sample.labels.get("stage", "")): sample.value
        for family in metrics([job(1, twice)])
        for sample in family.samples
    }
    assert found["spectralearth_build_tasks", "scan"] == 12
    assert found["spectralearth_build_tasks_done_total", "scan"] == 10
    assert found["spectralearth_build_left_seconds", "scan"] == 3


WITHOUT = """
import sys
sys.modules["prometheus_client"] = None
from spectralearth_build.cluster.job_metrics import expose
expose(lambda: [])
print("nothing")
"""


def test_without_the_library_there_are_no_metrics():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.stdout == "nothing\n", done.stderr


def test_a_client_alone_adds_one_page_only(capsys):
    with scheduler() as cluster, Client(cluster) as client:
        before = len(cluster.scheduler.http_application.default_router.rules)
        for _ in range(2):
            with job_totals.shown_totals(client) as (totals, link):
                assert totals.document("running")["stages"] == []
                assert link.endswith(f"/{NAME}")
        rules = len(cluster.scheduler.http_application.default_router.rules)
        assert rules - before <= 1
