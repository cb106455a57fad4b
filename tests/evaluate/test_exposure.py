"""Encoders that were trained on ground of val or test are refused, or their figures say so."""

import pytest
import torch

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.exposure import exposure_of, judged_places
from spectralearth_build.evaluate.run import evaluate
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import save_encoder

CONFIG = EvaluateConfig(labels="corine", task="single", head="ridge", size=16, device="cpu", threads=1)


@pytest.fixture(scope="module")
def encoders(known, tmp_path_factory):
    """Files of one encoder, by the split of which they say that it was trained on it; old: they say nothing."""
    folder, dataset = tmp_path_factory.mktemp("seen"), open_dataset(known.folder)
    torch.manual_seed(7)
    architecture = Architecture("resnet18", 202)
    network, spectra = build(architecture), spectra_of(known.folder)
    files = {name: folder / f"{name}.safetensors" for name in ("train", "test", "old")}
    for split, path in files.items():
        about = {}
        if split != "old":
            about = {"seen": SeenPatches.of(dataset.query(split=split), split).document()}
        save_encoder(path, network, architecture, spectra, about)
    return files


def test_patches_that_share_ground_are_counted(known, encoders):
    dataset = open_dataset(known.folder)
    places = judged_places(dataset)
    found = {path: exposure_of(path, places) for path in encoders.values()}
    sizes = {name: len(dataset.query(split=name)) for name in ("val", "test")}
    assert found[encoders["train"]].seen == {"val": 0, "test": 0}  # windows of one tile do not overlap
    assert found[encoders["test"]].seen == {"val": 0, "test": sizes["test"]}
    assert found[encoders["old"]].seen is None
    assert [bool(each) for each in found.values()] == [False, True, False]
    assert all(each.sizes == sizes for each in found.values())


def test_an_encoder_that_has_seen_test_is_refused_before_anything_is_written(known, encoders, tmp_path):
    with pytest.raises(UsageError, match=r"2 of 2 test patches share ground.*--allow-seen"):
        evaluate(known.folder, encoders["test"], CONFIG, tmp_path / "e")
    assert not (tmp_path / "e").exists()
    scratch = CONFIG.changed(head="linear", protocol="scratch", epochs=1)
    assert not evaluate(known.folder, encoders["test"], scratch, tmp_path / "s").notes[2:]


@pytest.mark.slow
def test_figures_say_what_the_encoder_has_seen(known, encoders, tmp_path):
    def notes(name, **changes):
        return " ".join(
            evaluate(known.folder, encoders[name], CONFIG.changed(**changes), tmp_path / name).notes
        )

    assert "2 of 2 test patches share ground with patches that" in notes("test", allow_seen=True)
    assert "does not say on which patches it was trained" in notes("old")
    assert "trained" not in notes("train")
    with pytest.raises(UsageError, match="allow-seen"):  # also if the result is there
        notes("test")
