from shutil import copytree

import pandas as pd
import pytest

from spectralearth_build.downstream.result_tables import details, duels, figure_title, number, sheets
from spectralearth_build.downstream.results import against_random, collect, curves, figures_of, means, shown
from spectralearth_build.downstream.run import CELLS, FAILED
from tests.support.downstream_results import LEVEL, finish, made, value

METRICS = {"CORINE": "map_macro", "NLCD": "iou_micro"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    return *made(out), out


@pytest.fixture
def bench(finished, tmp_path):
    """A copy, to be spoiled."""
    config, cells, out = finished
    copytree(out / CELLS, tmp_path / CELLS)
    return config, cells, tmp_path


def row(sheet, *names):
    (found,) = [line for line in sheet.lines if line.names == names]
    return [entry.text for entry in found.entries]


def test_each_cell_is_a_row_with_what_it_found(bench):
    _, cells, out = bench
    results = collect(cells, out)
    assert len(results) == len(cells)
    assert set(results["status"]) == {"done"}
    for job, found in zip(cells, results.itertuples(), strict=True):
        assert found.key == job.key
        assert found.seconds == 60
        figure = found.test_iou_micro if found.task == "NLCD" else found.test_f1_micro
        assert figure == pytest.approx(value(job.cell) - (0.05 if found.task == "NLCD" else 0))
    assert figures_of(results[results["task"] == "NLCD"]) == ["oa", "iou_micro", "iou_macro"]


def test_means_are_those_of_a_loop(bench):
    _, cells, out = bench
    table = shown(collect(cells, out), METRICS)
    for found in table.itertuples():
        of_it = [value(job.cell) for job in cells
                 if (job.cell.task, job.cell.initialisation, job.cell.protocol, job.cell.fraction)
                 == (found.task, found.initialisation, found.protocol, found.fraction)]  # fmt: skip
        values = pd.Series(of_it) - (0.05 if found.task == "NLCD" else 0.15)
        assert (found.mean, found.spread, found.n) == pytest.approx((values.mean(), values.std(), 3))


def test_failed_and_missing_cells_are_told_and_do_not_spoil_the_mean(bench):
    config, cells, out = bench
    first, second = (out / CELLS / job.key for job in cells[:2])
    (first / "result.json").unlink()
    (first / FAILED).write_text('{"error_class": "UsageError", "message": "No such <thing>."}')
    (second / "result.json").write_text("{")  # a broken file counts as none
    results = collect(cells, out)
    assert results["status"].tolist()[:3] == ["failed", "missing", "done"]
    assert results["message"][0] == "No such <thing>."
    assert cells[2].cell.seed == 2
    (table,) = [sheet for sheet in sheets(config, results) if sheet.title == "10 % of the labels"]
    assert row(table, "moco")[0] == f"{100 * (value(cells[2].cell) - 0.15):.1f} (1, 1 failed, 1 missing)"
    finish(cells[1], second)
    assert collect(cells, out)["status"].tolist()[1] == "done"


def test_nothing_done_is_no_error(bench):
    config, cells, out = bench
    for job in cells:
        (out / CELLS / job.key / "result.json").unlink()
    results = collect(cells, out)
    assert set(results["status"]) == {"missing"}
    assert curves(cells, out).empty
    (first, *_) = sheets(config, results)
    assert set(row(first, "random")) == {"3 missing"}
    assert details(results, "NLCD").lines[0].entries[-1].text == "3 missing"
    assert means(results, "oa")["n"].sum() == 0


def test_the_layout_is_that_of_talks(bench):
    config, cells, out = bench
    first, second, versus = sheets(config, collect(cells, out))
    assert (first.title, second.title) == ("100 % of the labels", "10 % of the labels")
    assert first.groups == tuple(
        (f"{name} ({title})", ("frozen", "full", "adapter"))
        for name, title in (("CORINE", "mAP macro"), ("NLCD", "IoU micro"))
    )
    assert [line.names for line in first.lines] == [("moco",), ("mae",), ("random",)]
    full_random = 100 * (LEVEL["scratch"] + 0.01 - 0.15)  # from random weights, full is from scratch
    assert row(first, "random")[1] == f"{full_random:.1f} ± 1.0 (3)"
    assert [entry.best for entry in first.lines[0].entries] == [True] * 6
    assert not any(entry.best for line in first.lines[1:] for entry in line.entries)
    assert versus.title == "Pretrained against random weights"


def test_markdown_has_a_cell_for_each_column_and_escapes(bench):
    config, cells, out = bench
    config = config.model_copy(
        update={"encoders": (config.encoders[0].model_copy(update={"name": "A|B"}),) * 2}
    )
    results = collect(cells, out).assign(encoder="A|B")
    lines = sheets(config, results)[0].markdown().splitlines()
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "A\\|B" in lines[2]
    assert lines[2].count("**") == 12


@pytest.mark.slow
def test_published_numbers_are_marked_as_theirs(tmp_path):
    one = {
        "task": "NLCD",
        "encoder": "Theirs",
        "initialisation": "MAE",
        "protocol": "finetune",
        "value": 0.99,
        "source": "S",
    }
    config, cells = made(tmp_path, published=[one, one | {"fraction": 0.1, "value": 0.5}])
    first, second, _ = sheets(config, collect(cells, tmp_path))
    *ours, theirs = first.lines
    assert theirs.names == ("Theirs (published, theirs)", "MAE")
    assert [entry.text for entry in theirs.entries] == ["-", "-", "-", "-", "99.0", "-"]
    assert not any(entry.best for entry in theirs.entries)
    assert ours[0].entries[4].best  # ours is compared with ours alone
    assert "*99.0*" in first.markdown()
    assert second.lines[-1].entries[4].text == "50.0"


def test_duels_pair_seeds():
    rows = pd.DataFrame(
        [
            {"task": "T", "encoder": "E", "initialisation": start, "protocol": protocol, "fraction": 1.0, "seed": seed,
             "status": "done", "test_oa": figure}
            for start, protocol, figures in (
                ("moco", "frozen", [0.5, 0.6, 0.9]), ("random", "frozen", [0.4, 0.7, None]),
                ("random", "scratch", [0.1, 0.1, 0.1]),
            )
            for seed, figure in enumerate(figures)
        ]
    )  # fmt: skip
    first, second = against_random(rows, {"T": "oa"}).to_dict("records")
    assert (first["rival"], first["n"], first["wins"]) == ("frozen", 2, 1)
    assert (first["difference"], first["least"]) == pytest.approx((0.0, -0.1))
    assert (second["rival"], second["n"], second["wins"]) == ("scratch", 3, 3)
    assert second["theirs"] == pytest.approx(0.1)
    texts = [entry.text for entry in duels(against_random(rows, {"T": "oa"})).lines[0].entries]
    assert texts == ["55.0", "55.0", "+0.0", "-10.0", "1 of 2"]


def test_curves_have_a_row_an_epoch(bench):
    _, cells, out = bench
    history = curves(cells, out)
    assert len(history) == 20 * len(cells)
    assert history["epoch"].max() == 20
    mine = history[history["key"] == cells[0].key]
    assert mine["epoch"].tolist() == list(range(1, 21))
    assert mine["val_f1_micro"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("figure", "title"),
    [
        ("iou_micro", "IoU micro"),
        ("map_macro", "mAP macro"),
        ("oa", "overall accuracy"),
        ("f1_micro", "F1 micro"),
    ],
)
def test_figures_say_which_average(figure, title):
    assert figure_title(figure) == title


@pytest.mark.parametrize(
    ("given", "text"),
    [((0.5, float("nan"), 1), "50.0 (1)"), ((0.5, 0.01, 3, 1), "50.0 ± 1.0 (3, 1 failed)"),
     ((float("nan"), float("nan"), 0, 2, 1), "2 failed, 1 missing"), ((float("nan"), float("nan"), 0), "-")],
)  # fmt: skip
def test_numbers(given, text):
    assert number(*given) == text


def test_on_a_terminal_a_task_and_protocol_is_a_line(bench):
    config, cells, out = bench
    first, _, versus = sheets(config, collect(cells, out))
    head, rows = first.turned()
    assert head == ["", "moco", "mae", "random"]
    assert [line[0] for line in rows] == first.head[1:]
    assert rows[1][1:] == [row(first, name)[1] for name in head[1:]]
    assert versus.turned() == (versus.head, versus.rows)
