"""Every public function is called for real."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spectralearth_build as se
from spectralearth_build.api.entry import public
from spectralearth_build.errors import ConfigError, OutOfSpaceError, UsageError

pytestmark = pytest.mark.slow
INLINE = {"run.scheduler": "inline"}
TINY = {
    "objective": "simclr",
    "encoder.name": "resnet18",
    "simclr.views.size": 16,
    "train.steps": 2,
    "train.batch": 2,
    "train.log_steps": 1,
    "train.precision": "fp32",
    "train.device": "cpu",
}


GUARD = "Put the code of the script under `if __name__ == '__main__':`."
COMPARISON = """\
dataset = "{dataset}"
[[grid]]
protocols = ["frozen"]
seeds = [0]
[[tasks]]
name = "ridge"
head = "ridge"
labels = "corine"
task = "multilabel"
size = 65
[[encoders]]
name = "R"
network = "resnet18"
[run]
threads = 1
"""


def tree(folder):
    """SHA-256 of every file below a folder, without what may differ between runs."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "work"
    }


def command(*words):
    run = [sys.executable, "-m", "spectralearth_build", *map(str, words)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_stages_one_by_one_and_the_command_give_the_same_dataset(made, tmp_path):
    by_stages, by_command = tmp_path / "stages", tmp_path / "command"
    config = se.load_config(overrides=INLINE)
    assert se.scan_archive(made.archive, by_stages, config) == se.Built(quarantined=False)
    se.plan_patches(str(by_stages), config)
    se.cut_patches(made.archive, by_stages, config)
    se.write_report(by_stages)
    command("build", made.archive, by_command, "--scheduler", "inline")
    assert made.built == se.Built(quarantined=False, damages=())
    stages, whole = tree(by_stages), tree(by_command)
    assert {path for path in stages if stages[path] != whole[path]} <= {
        "report.html"
    }  # has the folder's name
    assert stages.keys() == whole.keys()


def test_a_script_with_a_guard_may_use_local_workers_and_one_without_is_told(made, tmp_path):
    lines = ["from spectralearth_build import build_dataset, set_quiet", "set_quiet(True)"]
    call = f"build_dataset({str(made.archive)!r}, {str(tmp_path / 'd')!r}, {{'run.workers': 1}})"
    script = tmp_path / "script.py"
    for guard, code, out, told in (("if True", 1, "", GUARD), ("if __name__ == '__main__'", 0, "()\n", "")):
        script.write_text("\n".join([*lines, f"{guard}:", f"    print({call}.damages)"]))
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stdout) == (code, out), done.stderr
        assert told in done.stderr
    assert len(se.open_dataset(tmp_path / "d").patches) == len(se.open_dataset(made.dataset).patches)


def test_settings_come_as_names_sections_file_or_config(made, tmp_path):
    file = tmp_path / "build.toml"
    file.write_text("[plan]\nmin_dates = 3\n")
    given = [
        se.load_config(file),
        se.load_config(str(file), {"plan.min_dates": 3}),
        se.load_config(None, {"plan": {"min_dates": 3}}),
        se.Config(plan={"min_dates": 3}),
    ]
    assert [config.plan.min_dates for config in given] == [3, 3, 3, 3]
    with pytest.raises(ConfigError, match=r"plan\.nothing"):
        se.build_dataset(made.archive, tmp_path / "d", {"plan.nothing": 1})
    assert not (tmp_path / "d").exists()


def test_verify_finds_damage_and_repair_undoes_it(made, copy):
    assert se.verify_dataset(copy, made.archive, INLINE) == []
    before = tree(copy)
    shard = max((copy / "store.zarr" / "reflectance").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    found = se.verify_dataset(copy, config=INLINE)
    assert {damage.path for damage in found} == {shard.relative_to(copy).as_posix()}
    assert isinstance(found[0], se.Damage)
    assert se.repair_dataset(copy, made.archive, INLINE) == []
    assert tree(copy) == before


def test_a_dataset_is_opened_and_loaded(made):
    dataset = se.open_dataset(made.dataset)
    assert isinstance(dataset, se.Dataset)
    patches = dataset.query()
    loader = se.Loader(str(made.dataset), batch_size=1, shuffle=False, as_numpy=True, threads=1)
    for batch, row in zip(loader, patches.itertuples(), strict=True):
        expected = dataset.patch(row.location_id, row.datatake)
        np.testing.assert_array_equal(batch["pixels"][0], expected)


def test_parts_share_nothing_are_checked_exported_and_imported(made, copy, tmp_path):
    parts = pd.read_parquet(copy / "splits.parquet").set_index("patch_id")["split"]
    assert set(parts) == {"train", "val", "test"}
    assert not se.check_split(copy)
    files = se.export_split(copy, tmp_path / "lists")
    assert all(path.is_file() for path in files)
    (table,) = (path for path in files if path.suffix == ".csv")
    (copy / "splits.parquet").unlink()
    with pytest.raises(UsageError, match="There is no splits"):
        se.check_split(copy)
    outcome = se.import_split(copy, table, buffer_km=0)
    assert outcome.path == copy / "splits.parquet"
    again = pd.read_parquet(copy / "splits.parquet").set_index("patch_id")["split"]
    pd.testing.assert_series_equal(again.sort_index(), parts.sort_index())


def test_what_leaks_is_told_and_not_written(copy, tmp_path):
    patches = se.open_dataset(copy).patches
    together = patches[patches.duplicated("datatake", keep=False)]
    assert len(together) == 2  # of one datatake, so they may not part
    parts = dict(zip(together["patch_id"], ("train", "test"), strict=True))
    file = tmp_path / "leak.csv"
    pd.Series(parts, name="split").rename_axis("patch_id").to_csv(file)
    before = (copy / "splits.parquet").read_bytes()
    outcome = se.import_split(copy, file, buffer_km=0)
    assert outcome.leaks
    assert outcome.path is None
    assert (copy / "splits.parquet").read_bytes() == before


def test_labels_are_paired_opened_and_dropped(made, copy):
    labels = se.open_labels(made.dataset, "corine")
    assert isinstance(labels, se.LabelSet)
    assert labels.maps(labels.table["store_row"].head(2)).shape == (2, 128, 128)
    again = se.pair_labels(copy, {"corine": [made.cover / "corine.tif"]}, classes={"corine": "corine19"},
                           config=INLINE)  # fmt: skip
    assert again.shards == {"corine": 0}
    se.drop_labels(copy, "corine")
    with pytest.raises(UsageError, match="There is no label 'corine'"):
        se.open_labels(copy, "corine")


def test_patches_are_exported_and_recoded(made, tmp_path):
    assert se.export_dataset(
        made.dataset, tmp_path / "out", "numpy", bands=[490, 560], split="train", workers=1
    )
    assert not se.export_dataset(
        made.dataset, tmp_path / "out", "numpy", bands="490,560", split="train", workers=1
    )
    (file,) = (tmp_path / "out").rglob("*.npy")
    dataset = se.open_dataset(made.dataset)
    assert np.load(file).shape == (len(dataset.query(split="train")), 2, 128, 128)
    se.recode_dataset(made.dataset, tmp_path / "dense", "dense", INLINE)
    for row in dataset.query().itertuples():
        again = se.open_dataset(tmp_path / "dense").patch(row.location_id, row.datatake)
        np.testing.assert_array_equal(again, dataset.patch(row.location_id, row.datatake))


def test_an_encoder_is_trained_loaded_embedded_exported_judged_and_compared(made, tmp_path):
    torch = pytest.importorskip("torch")
    file = se.pretrain_encoder(made.dataset, tmp_path / "run", TINY)
    assert file == tmp_path / "run" / "encoder.safetensors"
    encoder = se.load_encoder(file)
    dataset = se.open_dataset(made.dataset)
    count = se.embed_patches(made.dataset, file, tmp_path / "v.parquet", batch=1, device="cpu")
    vectors = pd.read_parquet(tmp_path / "v.parquet").set_index("patch_id")["vector"]
    assert count == len(vectors) == len(dataset.query())
    row = dataset.query().iloc[0]
    pixels = torch.from_numpy(dataset.patch(row["location_id"], row["datatake"]).to_numpy())[None]
    with torch.inference_mode():
        np.testing.assert_allclose(encoder(pixels)[0], vectors[row["patch_id"]], rtol=1e-4, atol=1e-5)
    se.export_encoder(file, tmp_path / "e.pt2")
    program = torch.export.load(tmp_path / "e.pt2").module()
    np.testing.assert_allclose(program(pixels).detach(), encoder(pixels).detach(), rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match=r"\.pt2 or \.onnx"):
        se.export_encoder(file, tmp_path / "e.txt")
    out = tmp_path / "evaluation"
    results = se.evaluate_encoder(made.dataset, "corine", "multilabel", file, out, head="ridge", seeds=2,
                                  device="cpu", settings={"size": 65, "threads": 1})  # fmt: skip
    for seed, result in enumerate(results):
        document = json.loads((out / f"seed-{seed}" / "result.json").read_bytes())
        assert document["figures"]["test_f1_micro"] == result.figures["test_f1_micro"]
        assert document["settings"]["seed"] == seed


def test_encoders_are_compared(made, tmp_path):
    pytest.importorskip("torch")
    config = tmp_path / "compare.toml"
    config.write_text(COMPARISON.format(dataset=made.dataset))
    results = se.compare_encoders(config, tmp_path / "out", scheduler="inline")
    assert results["status"].tolist() == ["done"]
    assert (tmp_path / "out" / "downstream.html").is_file()


def test_errors_say_what_to_do(made, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"There is no such folder\. .*Check the path"):
        se.build_dataset(tmp_path / "none", tmp_path / "d")
    with pytest.raises(UsageError, match="This is a file"):
        se.build_dataset(__file__, tmp_path / "d")
    with pytest.raises(UsageError, match="is inside the other"):
        se.build_dataset(made.archive, made.archive / "d")
    with pytest.raises(UsageError, match="needs a folder of this machine"):
        se.repair_dataset("s3://bucket/dataset", made.archive)
    with pytest.raises(UsageError, match="no label"):
        se.pair_labels(made.dataset, {})
    with pytest.raises(UsageError, match="The folder does not exist"):
        se.open_dataset(tmp_path / "none")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_of_the_system_becomes_one_with_a_remedy():
    with pytest.raises(OutOfSpaceError, match="No space left on the device") as caught:
        public(Path("/dev/full").write_text)("x" * 100_000)
    assert isinstance(caught.value.__cause__, OSError)
