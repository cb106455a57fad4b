"""One setting of an objective leaves all other settings of its section, and of the views in it, as they were."""

from collections.abc import Iterator
from typing import Any

import pytest

from spectralearth_build import settings
from spectralearth_build.pretrain.training_config import PretrainConfig
from spectralearth_build.settings.section import Section


def leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


DEFAULTS = dict(leaves(PretrainConfig()))
UNUSUAL = {
    "train.batch": 128,
    "moco.batch_splits": 2,
    "mae.heads": 8,
    "mae.dim": 256,
    "encoder.image": 128,
}


NAMES = {
    "objective": "dino", "encoder.name": "vit_b", "data.dates": "season", "encoder.pool": "mean",
    "encoder.positions": "fixed", "train.optimiser": "adamw", "train.precision": "fp32", "train.decay": "all",
    "train.schedule": "epochs", "train.rate_scaling": "none", "dino.export": "student", "distil.loss": "mse",
    "train.recompute": "all",
}  # fmt: skip


def another(key: str, value: Any) -> Any:
    """A value that is allowed and not the default."""
    if key in UNUSUAL:
        return UNUSUAL[key]
    if key.endswith((".views.scale", ".local.scale")):
        return [0.11, 0.9]
    if key.endswith((".ratio", ".sigma")):
        return [0.5, 1.5]
    if key.endswith(".kernel"):
        return 7
    if key.endswith(".size"):
        return 96
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.25
    return NAMES.get(key, "text")


def write(key: str, value: Any) -> str:
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


@pytest.mark.parametrize("key", list(DEFAULTS))
def test_every_other_setting_keeps_its_default(key):
    value = another(key, DEFAULTS[key])
    found = dict(leaves(settings.read(PretrainConfig, None, [write(key, value)])))
    changed = {name for name, each in found.items() if each != DEFAULTS[name]}
    # The published code of the objective that is trained, by default moco, also changes how it is trained.
    train = {"train.clip", "train.decay", "train.schedule", "train.rate_scaling"}
    assert changed == {key} | (train if key == "moco.official" else set())
