"""Distillation: the teacher sees the same view with its own statistics, and is not trained."""

import pandas as pd
import pytest
import torch
from torch.nn.functional import cosine_similarity, layer_norm

from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.errors import ConfigError, UsageError
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.objectives.distil import Distil
from spectralearth_build.pretrain.recipes import DistilConfig
from spectralearth_build.pretrain.setup import finish, prepare, spectra_of
from spectralearth_build.pretrain.spectra import Spectra, Standardise, WavelengthError
from spectralearth_build.pretrain.training_config import PretrainConfig
from spectralearth_build.pretrain.weights import load_encoder, save_encoder, seen_by
from spectralearth_build.settings import read

NM = tuple(float(400 + 10 * k) for k in range(80))
OURS = Spectra(NM, tuple(1000.0 + k for k in range(80)), tuple(200.0 + k for k in range(80)))
THEIRS = Spectra(NM, tuple(900.0 + 2 * k for k in range(80)), tuple(150.0 + 3 * k for k in range(80)))
TEACHER = Architecture("resnet18", 80)


@pytest.fixture
def teacher(tmp_path):
    torch.manual_seed(3)
    path = tmp_path / "teacher.safetensors"
    save_encoder(path, build(TEACHER), TEACHER, THEIRS, {})
    return path


def student(path, **changes):
    torch.manual_seed(4)
    return Distil(
        build(Architecture("vit_s", 80, patch=4, image=8)), DistilConfig(teacher=str(path), **changes), OURS
    )


def test_the_teacher_sees_values_standardised_with_its_own_statistics(teacher):
    counts = torch.randint(0, 3000, (3, 80, 8, 8), dtype=torch.int16)
    made, reference = student(teacher), load_encoder(teacher)
    image = Standardise(OURS)(counts)
    torch.testing.assert_close(made.taught(image), reference(counts), rtol=1e-3, atol=1e-4)


def test_the_loss_follows_the_definition(teacher):
    image = torch.randn(3, 80, 8, 8)
    made = student(teacher)
    predicted, target = made.bridge(made.encoder(image)), made.taught(image)
    torch.testing.assert_close(made.loss(image), (2 - 2 * cosine_similarity(predicted, target)).mean())
    other = student(teacher, loss="mse")
    predicted = other.bridge(other.encoder(image))
    torch.testing.assert_close(other.loss(image), (predicted - layer_norm(target, (512,))).square().mean())


def test_only_the_student_learns_and_is_saved(teacher):
    made = student(teacher).train()
    made.loss(torch.randn(3, 80, 8, 8)).backward()
    assert not any("teacher" in name for name in made.state_dict())
    (network,) = made._teacher
    assert not network.training
    assert all(value.grad is None for value in network.parameters())
    assert made.encoder.embed.weight.grad is not None


def test_a_run_needs_a_teacher_of_the_same_bands(dataset, settings, tmp_path, teacher):
    with pytest.raises(ConfigError, match=r"distil\.teacher is empty"):
        read(PretrainConfig, None, ["objective=distil"])
    with pytest.raises(WavelengthError, match="80"):
        prepare(dataset.folder, tmp_path / "run", settings("distil", teacher=teacher))
    with pytest.raises(UsageError, match="absent"):
        prepare(dataset.folder, tmp_path / "run", settings("distil", teacher=tmp_path / "absent"))
    assert not (tmp_path / "run").exists()


def test_a_run_ends_with_an_encoder(dataset, settings, tmp_path):
    path = tmp_path / "t.safetensors"
    architecture = Architecture("resnet18", 202)
    save_encoder(path, build(architecture), architecture, spectra_of(dataset.folder), {})
    run = prepare(dataset.folder, tmp_path / "run", settings("distil", teacher=path, steps=2))
    run.train(lambda *_: None)
    encoder = finish(run)
    assert load_encoder(encoder).dim == 24
    assert seen_by(encoder) is None  # as of the teacher


def test_a_teacher_brings_what_it_has_seen_and_stays_the_same(dataset, settings, tmp_path):
    path, elsewhere = tmp_path / "t.safetensors", "32733_20000_174000"
    architecture, spectra = Architecture("resnet18", 202), spectra_of(dataset.folder)
    saw = SeenPatches.of(pd.DataFrame({"patch_id": ["p"], "location_id": [elsewhere]}), "test")
    save_encoder(path, build(architecture), architecture, spectra, {"seen": saw.document()})
    run = prepare(dataset.folder, tmp_path / "run", settings("distil", teacher=path))
    own = run.loader.samples.patches
    seen = SeenPatches.from_document(seen_by(finish(run)))
    assert seen.share_ground([elsewhere, *own["location_id"]]).all()
    assert (seen.split, seen.patches) == ("", len(own))
    save_encoder(path, build(architecture), architecture, spectra, {"seen": saw.document()})
    with pytest.raises(UsageError, match=r"other settings:\s+distil\.teacher_sha256"):
        prepare(dataset.folder, tmp_path / "run", settings("distil", teacher=path))
