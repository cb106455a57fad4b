"""In a step, no tensor goes to the device in a way that makes the host wait, and no number comes back."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.setup import objective_of

WAITING = (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.__bool__,
           torch.Tensor.__float__, torch.Tensor.__int__, torch.Tensor.__index__, torch.Tensor.nonzero,
           torch.nonzero)  # fmt: skip


class Watch(TorchFunctionMode):
    """Notes what would wait for a device."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        moved = [*args[1:], *kwargs.values()]
        if function is torch.Tensor.to and any(
            isinstance(each, torch.device | torch.Tensor) for each in moved
        ):
            if not kwargs.get("non_blocking"):
                self.waits.append((function, moved))
        elif function in WAITING:
            self.waits.append((function, ()))
        return function(*args, **kwargs)


def test_the_watch_sees_what_waits():
    with Watch() as watch:
        here = torch.zeros(1)
        here.to(torch.device("cpu"))
        here.to(here)
        here.to(torch.device("cpu"), non_blocking=True)
        here.to(torch.float16)
        float(here)
        here.item()
    assert len(watch.waits) == 4


@pytest.mark.parametrize(
    "name", ["moco", "dino", "mae", "simclr", "byol", "simsiam", "barlow", "vicreg", "swav"]
)
def test_a_step_waits_for_nothing(settings, name):
    config = settings(name)
    recipe = getattr(config, name)
    views = Augmentation(scale=(0.05, 0.2), size=16, blur=0.5, gain=0.1, offset=0.1, drop_bands=0.2)
    config = config.changed(**{name: recipe.changed(views=views)})
    objective = objective_of(config, 80).train()
    series, places = torch.randn(2, 2, 80, 32, 32), torch.tensor([1, 2])
    draw = torch.Generator().manual_seed(0)
    with Watch() as watch:
        objective.begin_step(0.0)
        objective(series, places, draw).backward()
        objective.before_step(0.0)
        objective.after_step(0.1)
    assert watch.waits == []
