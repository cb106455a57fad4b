import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from spectralearth_build.errors import ConfigError, UsageError
from spectralearth_build.evaluate import cell, run
from spectralearth_build.evaluate.data import labelled
from spectralearth_build.evaluate.examples import picked
from spectralearth_build.evaluate.protocol import digest
from spectralearth_build.evaluate.result import Result, read_result
from spectralearth_build.evaluate.run import evaluate
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.labels.read import open_labels
from spectralearth_build.pretrain.encoders import Architecture
from spectralearth_build.pretrain.spectra import WavelengthError
from spectralearth_build.pretrain.training_config import EncoderConfig
from spectralearth_build.pretrain.weights import load_encoder, save_encoder
from spectralearth_build.settings import layered

pytestmark = pytest.mark.slow

SIZE = 65
"""One whole crop of a patch, a quarter of its pixels."""
CONFIG = EvaluateConfig(
    labels="corine",
    task="segmentation",
    size=SIZE,
    epochs=2,
    batch=4,
    device="cpu",
    threads=1,
    encoder=EncoderConfig(name="resnet18"),
)


def figures(result):
    """All that may not differ between two runs."""
    curve = [{name: value for name, value in row.items() if name != "seconds"} for row in result.curve]
    return result.figures, curve, result.per_class, result.epoch, result.samples


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "multilabel"},
        {"task": "single", "head": "knn"},
        {"task": "multilabel", "head": "ridge", "precision": "bf16"},
        {"protocol": "adapter", "head": "conv", "boundary": 3.0, "epochs": 1},
        {"task": "single", "protocol": "finetune"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_the_same_seed_gives_the_same_figures(known, weights, tmp_path, changes):
    config = CONFIG.changed(**changes)
    first, second = (evaluate(known.folder, weights, config, tmp_path / name) for name in "ab")
    assert figures(first) == figures(second)
    assert first.settings == second.settings
    kinds = {"multilabel": ["f1", "map"], "single": ["f1"], "segmentation": ["f1", "iou"]}[config.task]
    for name in (
        f"{part}_{kind}_{mean}" for part in ("val", "test") for kind in kinds for mean in ("micro", "macro")
    ):
        assert 0 <= first.figures[name] <= 1
    assert not [name for name in first.figures if "miou" in name]
    assert [row["epoch"] for row in first.curve] == ([] if config.instant else [1, 2][: config.epochs])
    expected = {"frozen": 0, "adapter": 56_192, "finetune": 11_268_352}[config.protocol]
    assert first.encoder_trainable == expected
    assert [row["name"] for row in first.per_class] == [
        c.name for c in open_labels(known.folder, "corine").classes
    ]


def test_another_seed_gives_another_start_and_the_caller_keeps_its_own_numbers(known, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, two = (
        evaluate(known.folder, None, CONFIG.changed(head="conv", seed=seed), tmp_path / str(seed))
        for seed in (0, 1)
    )
    assert one.figures != two.figures
    assert torch.equal(torch.rand(2), expected)


def test_a_frozen_encoder_is_bit_equal_behind_an_evaluation(known, weights, tmp_path, monkeypatch):
    seen = []
    real = cell.Cell.run

    def watched(self, *args):
        seen.append(digest(self.model.encoder))
        result = real(self, *args)
        seen.append(digest(self.model.encoder))
        return result

    monkeypatch.setattr(cell.Cell, "run", watched)
    evaluate(known.folder, weights, CONFIG.changed(head="conv", memory_gb=0.0), tmp_path / "a")
    evaluate(known.folder, weights, CONFIG.changed(head="conv"), tmp_path / "b")
    assert set(seen) == {digest(load_encoder(weights).encoder)}


def test_features_in_memory_or_not_give_the_same(known, weights, tmp_path):
    config = CONFIG.changed(head="conv", size=33)
    kept, read = (
        evaluate(known.folder, weights, config.changed(memory_gb=room), tmp_path / str(room))
        for room in (1.0, 0.0)
    )
    assert kept.figures.keys() == read.figures.keys()
    for one, other in zip(kept.curve, read.curve, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["val_oa"] == pytest.approx(other["val_oa"], abs=0.01)


def test_a_finished_result_is_given_back_and_another_refused(known, weights, tmp_path, monkeypatch):
    config = CONFIG.changed(task="single", head="knn")
    first = evaluate(known.folder, weights, config, tmp_path)
    monkeypatch.setattr(run, "Cell", lambda *_: pytest.fail("computed again"))
    assert evaluate(known.folder, weights, config, tmp_path) == first == read_result(tmp_path)
    assert evaluate(known.folder, weights, config.changed(threads=2, memory_gb=1.0), tmp_path) == first
    for changed, text in (
        ((weights, config.changed(seed=1)), "seed: was 0, is 1"),
        ((None, config), "encoder_sha256"),
        ((weights, config.changed(fraction=0.9)), "fraction: was 1.0, is 0.9"),
    ):
        with pytest.raises(UsageError, match=f"{text}(.|\\n)*Give another folder"):
            evaluate(known.folder, changed[0], changed[1], tmp_path)


def test_examples_show_image_truth_and_answer(known, weights, tmp_path, cache):
    for task in ("segmentation", "multilabel", "single"):
        config = CONFIG.changed(task=task, head="conv" if task == "segmentation" else "ridge", epochs=1)
        evaluate(known.folder, weights, config, tmp_path / task, cache)
        part = labelled(known.folder, config).parts["test"]
        with np.load(tmp_path / task / "predictions.npz") as file:
            held = dict(file)
        at = part.patches["patch_id"].tolist()
        order = [at.index(name) for name in held["patch_id"]]
        assert sorted(order) == [0, 1]
        assert held["rgb"].shape == (2, SIZE, SIZE, 3)
        assert held["rgb"].std() > 10
        truth = part.every(torch.tensor(order))[0].numpy()
        assert np.array_equal(held["truth"], truth)
        assert held["prediction"].shape == truth.shape
        assert held["prediction"].dtype == truth.dtype


def test_examples_are_the_patches_with_most_classes(known):
    part = labelled(known.folder, CONFIG.changed(task="multilabel", size=128)).parts["train"]
    counts = part.whole[picked(part)].sum(1).tolist()
    assert len(counts) == 4
    assert counts == sorted(counts, reverse=True)
    twice = replace(part, patches=part.patches.assign(location_id="one place"))
    assert len(picked(twice)) == 1


def test_other_bands_are_refused(known, weights, tmp_path):
    loaded = load_encoder(weights)
    nm = list(loaded.spectra.wavelength_nm)
    nm[100] -= 3
    architecture = Architecture("resnet18", 202, patch=4, image=128)
    moved = replace(loaded.spectra, wavelength_nm=tuple(nm))
    save_encoder(tmp_path / "e.safetensors", loaded.encoder, architecture, moved, {})
    with pytest.raises(WavelengthError, match=r"band 100: .* instead of"):
        evaluate(known.folder, tmp_path / "e.safetensors", CONFIG, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "detection"}, "task: Input should be 'multilabel'"),
        ({"protocol": "half"}, "protocol: Input should be 'frozen'"),
        ({"task": "single", "head": "unet"}, "'unet' does not support the task single.*linear, knn, ridge"),
        ({"head": "ridge", "protocol": "finetune"}, "requires protocol frozen"),
        ({"fraction": 0.0}, "fraction: .*greater than 0"),
        ({"epochs": 0}, "epochs: .*greater than or equal to 1"),
        ({"rate": math.inf}, "rate: .*finite"),
        ({"size": 129}, "size: .*less than or equal to 128"),
        ({"task": "single", "boundary": 1.0}, "boundary=1.0 weights pixels, but the task is single"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        layered(EvaluateConfig, CONFIG.given() | changes)


@pytest.mark.parametrize(("name", "size"), [("vit_s", 66), ("swin_t", 66)])
def test_images_that_an_encoder_cannot_divide_are_refused(known, tmp_path, name, size):
    config = CONFIG.changed(size=size, encoder=EncoderConfig(name=name, image=64))
    with pytest.raises(UsageError, match="must be a multiple of 4 pixels for this network, got 66"):
        evaluate(known.folder, None, config, tmp_path)


def test_a_result_survives_its_file(tmp_path):
    figures = {"val_oa": 0.5, "test_oa": math.nan}
    rows = [{"epoch": 1, "loss": 0.1, "val_oa": math.nan}]
    result = Result(
        figures, rows, 5, 0, {"train": 1}, 2.5, 1, "oa", [{"name": "a", "f1": None}], ["b"], {"c": 1}
    )
    result.write(tmp_path)
    json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert str(read_result(tmp_path)) == str(result)
    assert read_result(tmp_path / "nothing") is None
    (tmp_path / "result.json").write_text('{"figures": {}}')
    with pytest.raises(Exception, match=r"The result cannot be read.*Delete the file"):
        read_result(tmp_path)


def test_a_shared_cache_tells_networks_of_one_file_apart(known, weights, tmp_path):
    config = CONFIG.changed(task="multilabel", head="ridge")
    dense = config.changed(dense=True)
    alone = evaluate(known.folder, weights, dense, tmp_path / "alone")
    evaluate(known.folder, weights, config, tmp_path / "other", tmp_path / "cache")
    shared = evaluate(known.folder, weights, dense, tmp_path / "shared", tmp_path / "cache")
    assert shared.figures == alone.figures
    assert len(list((tmp_path / "cache").glob("features-*"))) == 2
