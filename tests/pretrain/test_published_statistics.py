"""Statistics and wavelengths for published weights: from files or a dataset, and nothing else."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from spectralearth_build.archive.bands import nominal
from spectralearth_build.cli.app import app
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.published.reading import spectra_from
from spectralearth_build.pretrain.published.statistics import beside
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import load_encoder
from spectralearth_build.pretrain.weights_identity import digest_of
from spectralearth_build.shipped import shipped
from tests.support import published_networks as published

RUNNER = CliRunner()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A tiny ViT as published, with statistics in another folder."""
    monkeypatch.setitem(SIZES, "s", (24, 2, 3))
    network = published.shaken(published.SpecVisionTransformer(32, 8, 24, 2, 3))
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    (tmp_path / "statistics").mkdir()
    np.save(tmp_path / "statistics" / "mu.npy", np.linspace(800, 3200, 202, dtype=np.float32))
    np.save(tmp_path / "statistics" / "sigma.npy", np.linspace(300, 900, 202, dtype=np.float32))
    return tmp_path


def call(files, *words):
    line = ["import-encoder", files / "vit.pth", files / "out.safetensors", *words]
    return RUNNER.invoke(app, list(map(str, line)))


def test_the_verb_takes_their_files_and_the_shipped_bands(files):
    given = ("--mean", files / "statistics/mu.npy", "--std", files / "statistics/sigma.npy")
    done = call(files, *given)
    assert done.exit_code == 0, done.output
    encoder = load_encoder(files / "out.safetensors")
    assert encoder.spectra.mean == tuple(np.linspace(800, 3200, 202, dtype=np.float32).tolist())
    assert encoder.spectra.std[-1] == 900
    assert encoder.spectra.wavelength_nm == tuple(nominal().wavelength_nm)
    assert encoder.encoder.pool == "token"
    bands = shipped("data_manifests/enmap_202_bands.csv")
    assert call(files, *given, "--wavelengths", bands).exit_code == 0  # the same encoder


def test_the_verb_takes_the_statistics_of_a_dataset(files, dataset):
    assert call(files, "--statistics", dataset.folder).exit_code == 0
    assert load_encoder(files / "out.safetensors").spectra == spectra_of(dataset.folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give --mean mu.npy --std sigma.npy"),
        (["--mean", "mu.npy"], "Mean and standard deviation of its input are needed"),
        (["--mean", "mu.npy", "--std", "sigma.npy", "--statistics", "dataset"], "goes with none of"),
        (["--mean", "short.npy", "--std", "sigma.npy"], "202 standard deviations and 80 means"),
        (["--mean", "short.npy", "--std", "short.npy"], "80 bands; wavelengths are known for 202 only"),
        (["--mean", "mu.npy", "--std", "zero.npy"], "Band 5 has the standard deviation 0"),
        (["--mean", "shares.npy", "--std", "sigma.npy"], "largest mean is 0.32; stored values were expected"),
        (["--mean", "table.npy", "--std", "sigma.npy"], "not float32 [202, 1]"),
        (["--mean", "nan.npy", "--std", "sigma.npy"], "not finite"),
        (["--mean", "text.npy", "--std", "sigma.npy"], "not a file of numpy"),
        (["--mean", "object.npy", "--std", "sigma.npy"], "not a file of numpy"),
        (["--mean", "mu.npy", "--std", "sigma.npy", "--wavelengths", "short.npy"], "80 wavelengths for 202 bands"),
        (["--mean", "mu.npy", "--std", "sigma.npy", "--wavelengths", "text.csv"], "a column wavelength_nm"),
        (["--mean", "mu.npy", "--std", "sigma.npy", "--network", "student"], "no network 'student'; it has one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_ends_with_2_and_leaves_nothing(files, words, said):
    folder = files / "statistics"
    mean = np.load(folder / "mu.npy")
    for name, values in {
        "short": mean[:80], "zero": np.where(np.arange(202) == 5, 0, mean), "shares": mean / 1e4,
        "table": mean[:, None], "nan": mean * np.nan, "object": np.array([{}] * 202),
    }.items():  # fmt: skip
        np.save(folder / f"{name}.npy", values)
    for name in ("text.npy", "text.csv"):
        (folder / name).write_text("sand, and the sea\n1,2\n")
    done = call(files, *(folder / word if "." in word else word for word in words))
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert not list(files.glob("out*"))


def test_another_suffix_is_refused(files):
    done = RUNNER.invoke(app, ["import-encoder", str(files / "vit.pth"), str(files / "out.pth")])
    assert done.exit_code == 2
    assert "must end in .safetensors" in done.output


def test_bands_of_another_sensor(tmp_path):
    np.save(tmp_path / "mu.npy", np.full(90, 1000))
    np.save(tmp_path / "nm.npy", np.linspace(400, 1000, 90))
    spectra = spectra_from(tmp_path / "mu.npy", tmp_path / "mu.npy", tmp_path / "nm.npy")
    assert (len(spectra.mean), spectra.wavelength_nm[-1]) == (90, 1000.0)


def test_weights_with_statistics_beside_them_are_loaded_as_they_are(files):
    weights = files / "vit.pth"
    with pytest.raises(
        UsageError, match=r"once mu.npy and sigma.npy lie beside them, or after `import-encoder`"
    ):
        load_encoder(weights)
    before = digest_of(weights)
    for path in (files / "statistics").iterdir():
        path.rename(files / path.name)
    loaded = load_encoder(weights)
    assert beside(weights) == (files / "mu.npy", files / "sigma.npy")
    call(files, "--mean", files / "mu.npy", "--std", files / "sigma.npy")
    imported = load_encoder(files / "out.safetensors")
    assert loaded.spectra == imported.spectra
    state = imported.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    assert digest_of(files / "out.safetensors") != digest_of(weights) != before
    with_mu = digest_of(weights)
    np.save(files / "vit.mu.npy", np.full(202, 1000.0))
    assert digest_of(weights) == with_mu  # one of two is no statistics
    np.save(files / "vit.sigma.npy", np.full(202, 100.0))
    assert digest_of(weights) != with_mu
    assert load_encoder(weights).spectra.mean[0] == 1000
