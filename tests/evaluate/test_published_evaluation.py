"""Published weights are evaluated as encoders of this package: imported, or as they are with statistics beside them."""

import numpy as np
import pytest
import torch

from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.results import collect
from spectralearth_build.downstream.run import planned, run
from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.run import evaluate
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.published.importing import import_weights
from spectralearth_build.pretrain.published.reading import spectra_from
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.spectra import WavelengthError
from tests.support import published_networks as published

CONFIG = EvaluateConfig(labels="corine", task="single", head="ridge", size=16, device="cpu", threads=1)


@pytest.fixture
def weights(known, tmp_path, monkeypatch):
    """A tiny ViT as published, with the statistics of the dataset beside it."""
    monkeypatch.setitem(SIZES, "s", (24, 2, 3))
    network = published.shaken(published.SpecVisionTransformer(32, 8, 24, 2, 3))
    torch.save(network.state_dict(), tmp_path / "vit_s.pth")
    spectra = spectra_of(known.folder)
    np.save(tmp_path / "mu.npy", np.array(spectra.mean, np.float32))
    np.save(tmp_path / "sigma.npy", np.array(spectra.std, np.float32))
    return tmp_path / "vit_s.pth"


@pytest.mark.slow
def test_an_import_on_the_fly_gives_the_figures_of_an_imported_file(known, weights, tmp_path):
    spectra = spectra_from(tmp_path / "mu.npy", tmp_path / "sigma.npy")
    import_weights(weights, tmp_path / "vit_s.safetensors", spectra)
    first = evaluate(known.folder, weights, CONFIG, tmp_path / "a")
    second = evaluate(known.folder, tmp_path / "vit_s.safetensors", CONFIG, tmp_path / "b")
    assert first.figures == second.figures
    assert first.settings["encoder_sha256"] != second.settings["encoder_sha256"]
    np.save(tmp_path / "mu.npy", np.array(spectra.mean, np.float32) + 100)
    with pytest.raises(UsageError, match="encoder_sha256"):  # other statistics are another encoder
        evaluate(known.folder, weights, CONFIG, tmp_path / "a")


@pytest.mark.slow
def test_other_bands_are_refused_by_name(known, weights, tmp_path):
    nm = np.array(spectra_of(known.folder).wavelength_nm)
    nm[7] += 11
    np.save(tmp_path / "nm.npy", nm)
    spectra = spectra_from(tmp_path / "mu.npy", tmp_path / "sigma.npy", tmp_path / "nm.npy")
    import_weights(weights, tmp_path / "vit_s.safetensors", spectra)
    with pytest.raises(WavelengthError, match="band 7"):
        evaluate(known.folder, tmp_path / "vit_s.safetensors", CONFIG, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_comparison_takes_published_files_beside_random_weights(known, weights, tmp_path):
    entry = {
        "name": "ViT",
        "network": "vit_s",
        "patch": 8,
        "image": 32,
        "pretrained": {"published": str(weights)},
    }
    document = {
        "dataset": str(known.folder),
        "tasks": [{"name": "ridge", "head": "ridge", "labels": "corine", "task": "single", "size": 16}],
        "encoders": [entry],
        "grid": [{"protocols": ["frozen"], "seeds": [0]}],
        "run": {"scheduler": "inline", "threads": 1},
    }
    config = GridConfig.model_validate(document)
    results = collect(run(config, tmp_path / "out"), tmp_path / "out")
    assert results["status"].tolist() == ["done", "done"]
    assert results["initialisation"].tolist() == ["published", "random"]
    before = [job.key for job in planned(config)]
    np.save(tmp_path / "sigma.npy", np.load(tmp_path / "sigma.npy") * 2)
    after = [job.key for job in planned(config)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]
    (tmp_path / "mu.npy").unlink()
    with pytest.raises(UsageError, match=r"once mu\.npy and sigma\.npy lie beside them"):
        run(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()
