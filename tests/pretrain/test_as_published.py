"""Each difference from the published code: what this package does, and what ``official`` restores."""

import pytest
import torch
from torch import nn

from spectralearth_build import settings
from spectralearth_build.pretrain.encoders.attention import sine_cosine
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.dino import Dino, DinoConfig
from spectralearth_build.pretrain.objectives.mae import MaeConfig
from spectralearth_build.pretrain.objectives.moco import MoCo, MoCoConfig
from spectralearth_build.pretrain.optimiser import optimiser_of, set_rate
from spectralearth_build.pretrain.setup import architecture_of, finish, objective_of, prepare
from spectralearth_build.pretrain.training_config import PretrainConfig, recipe_of
from spectralearth_build.pretrain.weights import load_encoder


def load(*given: str) -> PretrainConfig:
    return settings.read(PretrainConfig, None, list(given))


def vit() -> SpectralViT:
    torch.manual_seed(0)
    return SpectralViT(80, (24, 1, 3), 4, 8)


@pytest.mark.parametrize("objective", ["moco", "dino", "mae"])
def test_training_is_as_published(objective):
    ours, theirs = (
        load(f"objective={objective}"),
        load(f"objective={objective}", f"{objective}.official=true"),
    )
    assert (ours.train.clip, theirs.train.clip) == (3.0, 0.0)
    before, after = recipe_of(ours), recipe_of(theirs)
    assert (before.decay_all, after.decay_all) == (False, True)
    assert (before.by_epoch, after.by_epoch) == (False, True)
    expected = {"moco": (1e-4, 0.0), "dino": (1e-5, 0.2), "mae": (0.01, 0.0)}[objective]
    assert (after.weight_decay, after.warmup) == expected


def test_what_is_given_counts_more_than_the_published_code():
    found = load("objective=mae", "mae.official=yes", "train.clip=2", "encoder.pool=mean")
    assert (found.train.clip, found.train.decay, found.encoder.pool) == (2.0, "all", "mean")
    other = load("objective=dino", "mae.official=true")  # of an objective that is not trained
    assert (other.train.clip, other.encoder.positions) == (3.0, "learned")
    made = PretrainConfig(objective="mae", mae=MaeConfig(official=True))
    assert (made.train.clip, made.encoder.positions) == (0.0, "fixed")


def test_weight_decay_reaches_biases_only_if_asked():
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    for given, expected in (("weights", 0.0), ("all", 1e-4)):
        groups = optimiser_of(network, recipe_of(load(f"train.decay={given}"))).param_groups
        decay = {id(value): group["weight_decay"] for group in groups for value in group["params"]}
        assert [decay[id(value)] for value in network.parameters()] == [1e-4, expected, expected, expected]


@pytest.mark.parametrize("objective", ["moco", "dino", "mae"])
def test_rates_follow_the_schedulers_of_torch_epoch_by_epoch(objective):
    recipe = recipe_of(load(f"objective={objective}", f"{objective}.official=true"))
    per_epoch, epochs = 3, recipe.epochs
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], recipe.rate)
    if objective == "moco":
        schedule = torch.optim.lr_scheduler.MultiStepLR(theirs, [60, 80], 0.1)
    else:
        annealing = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, epochs)
        schedule = annealing
        if objective == "dino":
            warm = torch.optim.lr_scheduler.LinearLR(theirs, total_iters=20)
            schedule = torch.optim.lr_scheduler.SequentialLR(theirs, [warm, annealing], [20])
    ours = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    rates = []
    for epoch in range(epochs):
        expected = theirs.param_groups[0]["lr"]
        for step in range(per_epoch * epoch, per_epoch * (epoch + 1)):
            rates.append(set_rate(ours, recipe, step, per_epoch * epochs))
            assert rates[-1] == pytest.approx(expected, rel=1e-6, abs=1e-9), epoch
        theirs.step()
        schedule.step()
    assert rates[-1] > 0.09 * recipe.rate if objective == "dino" else rates[-1] < 0.011 * recipe.rate


@pytest.mark.parametrize(("objective", "power"), [("moco", 1.0), ("dino", 0.5), ("simclr", 0.5)])
def test_the_rate_of_a_recipe_fits_the_number_of_samples(objective, power):
    base = recipe_of(load(f"objective={objective}"), processes=4).rate
    for batch, parts, processes in ((64, 1, 1), (128, 2, 2), (32, 4, 4)):
        config = load(f"objective={objective}", f"train.batch={batch}", f"train.accumulate={parts}")
        expected = base * (batch * parts * processes / 256) ** power
        assert recipe_of(config, processes).rate == pytest.approx(expected)
        unscaled = config.changed(train=config.train.changed(rate_scaling="none"))
        assert recipe_of(unscaled, processes).rate == base
        given = config.changed(train=config.train.changed(rate=0.5))
        assert recipe_of(given, processes).rate == 0.5


def test_the_head_of_moco_is_normalised_as_published():
    made = MoCo(vit(), MoCoConfig(queue=8, hidden=16, dim=6, official=True))
    reference = nn.Sequential(nn.Linear(24, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
                              nn.Linear(16, 6, bias=False), nn.BatchNorm1d(6))  # fmt: skip
    reference.load_state_dict(made.head.state_dict())
    features = torch.randn(5, 24)
    assert torch.equal(made.head(features.clone()), reference(features))
    plain = MoCo(vit(), MoCoConfig(queue=8, hidden=16, dim=6, batch_splits=1))
    assert not any(isinstance(module, nn.BatchNorm1d) for module in plain.head)


def images(count=4):
    torch.manual_seed(1)
    return torch.randn(count, 80, 8, 8)


@pytest.mark.parametrize("official", [False, True])
def test_key_encoders_move_before_or_after_the_step(official):
    """The key's network after a step follows the query's of before, officially, or of after the step."""
    made = MoCo(
        vit(), MoCoConfig(queue=8, hidden=16, dim=6, batch_splits=1, momentum=0.75, official=official)
    )
    query, key = made.encoder.embed.weight, made.key_encoder.embed.weight
    before, start = query.detach().clone(), key.detach().clone()
    optimiser = torch.optim.SGD(made.encoder.parameters(), 0.1)
    made.begin_step(0.0)
    made.loss(images(), images(), torch.arange(4), torch.Generator().manual_seed(0)).backward()
    optimiser.step()
    made.after_step(0.1)
    followed = before if official else query.detach()
    assert not torch.equal(before, query.detach())
    assert torch.allclose(key, 0.75 * start + 0.25 * followed, atol=1e-6)


@pytest.mark.parametrize("official", [False, True])
def test_the_teacher_moves_before_or_after_the_step(official):
    made = Dino(vit(), DinoConfig(hidden=8, bottleneck=6, prototypes=5, momentum=0.75, official=official))
    student, teacher = made.encoder.embed.weight, made.teacher.embed.weight
    nn.init.normal_(student)
    before, start = student.detach().clone(), teacher.detach().clone()
    optimiser = torch.optim.SGD(made.encoder.parameters(), 0.1)
    made.begin_step(0.0)
    made.loss([images(), images().flip(3)], []).backward()
    optimiser.step()
    made.after_step(0.0)
    followed = before if official else student.detach()
    assert not torch.equal(before, student.detach())
    assert torch.allclose(teacher, 0.75 * start + 0.25 * followed, atol=1e-6)


def test_positions_of_mae_are_fixed_and_its_vector_is_the_class_token():
    given = ("objective=mae", "mae.views.size=16", "mae.dim=32", "mae.heads=4")
    ours, theirs = load(*given), load(*given, "mae.official=true")
    assert (architecture_of(ours, 80).pool, architecture_of(theirs, 80).pool) == ("mean", "token")
    made = objective_of(theirs, 80)
    positions = made.encoder.positions
    assert torch.equal(positions[0], sine_cosine(4, 384))
    optimiser = optimiser_of(made, recipe_of(theirs))
    assert not any(value is positions for group in optimiser.param_groups for value in group["params"])
    assert objective_of(ours, 80).encoder.positions.requires_grad


@pytest.mark.parametrize("export", ["teacher", "student"])
def test_the_teacher_of_dino_becomes_the_encoder(dataset, settings, tmp_path, export):
    config = settings("dino", steps=2)
    config = config.changed(dino=config.dino.changed(export=export))
    run = prepare(dataset.folder, tmp_path / "run", config)
    run.train(lambda *_: None)
    loaded = load_encoder(finish(run)).encoder.state_dict()
    networks = {"teacher": run.objective.teacher, "student": run.objective.encoder}
    equal = {name: all(torch.equal(loaded[key], value) for key, value in network.state_dict().items())
             for name, network in networks.items()}  # fmt: skip
    assert equal == {"teacher": export == "teacher", "student": export == "student"}
