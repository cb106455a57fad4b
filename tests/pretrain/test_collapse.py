"""Runs that are made to collapse, each in the way that its warning names; the same run unharmed gives no warning."""

import pytest

from spectralearth_build.pretrain.monitors import Recent
from spectralearth_build.pretrain.setup import prepare

pytestmark = pytest.mark.slow

HARM = {
    "no centring, sharp teacher": (
        "dino",
        {"centre_momentum": 1.0, "teacher_temperature": 0.002},
        {},
        "one prototype",
    ),
    "no sharpening": ("dino", {"teacher_temperature": 4.0}, {}, "uniform"),
    "weights decay to nothing": ("simclr", {}, {"weight_decay": 40.0}, "the same feature"),
}


def warnings(run) -> list[str]:
    """What the run says, line by line of its log."""
    said: list[str] = []
    run.recent = Recent(8)  # of the last steps, not of the healthy first ones
    run.train(lambda step, total, figures: said.append(run.warning(figures) or ""))
    return said


@pytest.mark.parametrize("harm", HARM)
def test_a_forced_collapse_is_noticed_and_named(dataset, settings, tmp_path, harm):
    objective, recipe, training, cause = HARM[harm]
    config = settings(objective, steps=16, log_steps=8, checkpoint_steps=100, rate=1e-2, warmup=0, **training)
    broken = config.changed(**{objective: getattr(config, objective).changed(**recipe)})
    said = warnings(prepare(dataset.folder, tmp_path / "broken", broken))
    assert cause in said[-1]


@pytest.mark.parametrize("objective", ["dino", "simclr"])
def test_a_sound_run_warns_of_nothing(dataset, settings, tmp_path, objective):
    config = settings(objective, steps=16, log_steps=8, checkpoint_steps=100, rate=1e-3)
    assert set(warnings(prepare(dataset.folder, tmp_path, config))) == {""}
