"""The training loop of an evaluation, which keeps the weights of the epoch that is best on val."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.protocol import Model
from spectralearth_build.evaluate.scoring import Scorer, loss_of
from spectralearth_build.evaluate.stream import Input, Stream
from spectralearth_build.evaluate.task_config import CHOOSES, EvaluateConfig
from spectralearth_build.pretrain.optimiser import optimiser_of, set_rate
from spectralearth_build.progress import counting
from spectralearth_build.signals import raise_if_stopped

Answer = Callable[[Input], Tensor]
"""Maps stored values, or encoder features, to scores."""


@dataclass(frozen=True)
class Learned:
    """The outcome of training. The model itself has the weights of the chosen epoch."""

    curve: list[dict[str, float]]
    """See `Result.curve`."""
    epoch: int
    """The chosen epoch, from 1."""
    figures: dict[str, float]
    """Figures of that epoch on val."""


@dataclass(frozen=True)
class Learner:
    """A model and its training objective.

    Constructor arguments: the model, on its device; the settings; the number of classes; the device; whether networks
    run in bfloat16.
    """

    model: Model
    config: EvaluateConfig
    classes: int
    device: torch.device
    half: bool

    def learn(self, train: Stream, val: Stream) -> Learned:
        """Train for all epochs, and restore the weights of the first epoch that is best on val.

        Raises:
            UsageError: The loss became NaN or infinite, or the figure on val is undefined in all epochs.
            StoppedError: A signal arrived.
        """
        optimiser = optimiser_of(self.model, self.config.recipe)
        curve: list[dict[str, float]] = []
        best: dict[str, Tensor] = {}
        highest, epoch, begin = -math.inf, 0, time.perf_counter()
        name = CHOOSES[self.config.task]
        with counting(f"evaluate {self.config.protocol}", self.config.epochs) as advance:
            for number in range(self.config.epochs):
                loss, rate = self._epoch(train, number, optimiser)
                figures = self.judge(val, self.answer).figures()
                seconds = time.perf_counter() - begin
                row = {"epoch": number + 1, "loss": loss, "rate": rate, "seconds": seconds}
                curve.append(row | {f"val_{key}": value for key, value in figures.items()})
                if figures[name] > highest:
                    highest, epoch, best = figures[name], number + 1, changing(self.model)
                advance(number + 1, f"loss {loss:.4f}, val {name} {figures[name]:.4f}")
        if not epoch:
            raise UsageError(
                f"{name} on val is undefined in every epoch.",
                remedy="Give val more labels, with `pair` or `split --anew`.",
            )
        self.model.load_state_dict(best, strict=False)
        chosen = {key.removeprefix("val_"): value for key, value in curve[epoch - 1].items() if "val_" in key}
        return Learned(curve, epoch, chosen)

    def answer(self, seen: Input) -> Tensor:
        """Compute scores of a batch."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            scores: Tensor = self.model(seen, self.config.size)
        return scores

    @torch.no_grad()
    def see(self, seen: Input) -> list[Tensor]:
        """Compute the input of a head."""
        if isinstance(seen, list):
            return seen
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.model.see(seen)

    def judge(self, part: Stream, answer: Answer, threshold: float = 0.0) -> Scorer:
        """Score predictions over one part."""
        scorer = Scorer(self.config.task, self.classes, self.device, threshold)
        self.model.eval()
        with torch.no_grad():
            for seen, truth in part.epoch(0):
                raise_if_stopped()
                if len(truth):
                    scorer.update(answer(seen), truth)
        return scorer

    def _epoch(self, train: Stream, number: int, optimiser: torch.optim.Optimizer) -> tuple[float, float]:
        """Run one epoch. Returns the mean loss and the learning rate of the last step."""
        self.model.train()
        total, steps, losses, rate = self.config.epochs * len(train), number * len(train), [], 0.0
        for step, (batch, truth) in enumerate(train.epoch(number), steps):
            raise_if_stopped()
            rate = set_rate(optimiser, self.config.recipe, step, total)
            if not len(truth):
                continue
            seen = batch
            if len(truth) == 1:  # batch normalisation of vectors needs two samples; the mean is the same
                seen, truth = twice(batch), torch.cat([truth, truth])
            loss = loss_of(self.answer(seen), truth, self.config.task, self.config.boundary)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean()) if losses else math.nan
        if not math.isfinite(mean):
            remedy = "Lower --rate, or give --set warmup=0.05."
            raise UsageError(f"The loss is {mean} in epoch {number + 1}.", remedy=remedy)
        return mean, rate


def changing(model: nn.Module) -> dict[str, Tensor]:
    """Copy everything that training changes: trained parameters and all statistics."""
    kept = {name for name, value in model.named_parameters() if not value.requires_grad}
    state = model.state_dict()
    return {name: value.clone() for name, value in state.items() if name not in kept}


def twice(seen: Input) -> Input:
    """Repeat a batch twice, along the first axis."""
    if isinstance(seen, list):
        return [torch.cat([each, each]) for each in seen]
    return torch.cat([seen, seen])
