"""The training loop, which writes checkpoints and a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from spectralearth_build.errors import StoppedError, UsageError
from spectralearth_build.loader import Loader
from spectralearth_build.pretrain import checkpoint
from spectralearth_build.pretrain.log import Log
from spectralearth_build.pretrain.monitors import Recent, diagnosis
from spectralearth_build.pretrain.objectives.across import averaged, world
from spectralearth_build.pretrain.objectives.base import Objective
from spectralearth_build.pretrain.optimiser import optimiser_of, set_rate
from spectralearth_build.pretrain.prefetch import Prefetcher, Step
from spectralearth_build.pretrain.recompute import recompute
from spectralearth_build.pretrain.spectra import Spectra, Standardise
from spectralearth_build.pretrain.training_config import ObjectiveRecipe, PretrainConfig, recipe_of
from spectralearth_build.progress import say

Report = Callable[[int, int, dict[str, float]], None]
"""A callback that gets the step, the total number of steps, and the figures of each log line."""


@dataclass
class TrainingRun:
    """A training run and all of its mutable state.

    `spectralearth_build.pretrain.setup` makes the constructor arguments.
    """

    objective: Objective
    loader: Loader
    spectra: Spectra
    config: PretrainConfig
    folder: Path
    device: torch.device
    probe: Callable[[nn.Module], float] | None = None
    """Returns the accuracy of the encoder on held-out labels."""

    def __post_init__(self) -> None:
        self.recipe: ObjectiveRecipe = recipe_of(self.config, world()[1])
        train = self.config.train
        self.total = train.steps or self.recipe.epochs * (len(self.loader) // train.accumulate)
        if self.total < 1 or len(self.loader) < 1:
            raise UsageError(
                f"The dataset has fewer samples than one batch of {train.batch} for each process.",
                self.folder,
                "Lower train.batch or train.accumulate.",
            )
        self.objective.to(self.device)
        self.standardise = Standardise(self.spectra).to(self.device)
        self.optimiser = optimiser_of(self.objective, self.recipe)
        self.draw = torch.Generator().manual_seed(train.seed + 1000 * world()[0])
        self.step = 0
        self.recent = Recent()
        recompute(self.objective, train.recompute)
        if train.compile:
            compile_blocks(self.objective)

    def train(self, report: Report, stopped: Callable[[], bool] = lambda: False) -> None:
        """Train until the last step, starting from the newest checkpoint if there is one.

        Args:
            report: called with the figures of each log line.
            stopped: returns whether to save a checkpoint and stop.

        Raises:
            StoppedError: ``stopped`` returned true, and a checkpoint was saved.
        """
        self.resume()
        log = Log(self.folder, self.step) if world()[0] == 0 else None
        prefetcher = Prefetcher(self.loader, self.device)
        network = self._distributed()
        meter = Meter(self.config.train.batch * world()[1], self.config.train.accumulate)
        try:
            while self.step < self.total:
                state = self._step(network, prefetcher, meter)
                if self.step % self.config.train.log_steps == 0 or self.step == self.total:
                    figures = self._figures(meter, prefetcher)
                    if log is not None:
                        log.add(self.step, figures)
                        report(self.step, self.total, figures)
                halt = self._agreed(stopped)
                if halt or self.step % self.config.train.checkpoint_steps == 0 or self.step == self.total:
                    self.save(state)
                if halt and self.step < self.total:
                    raise StoppedError(
                        f"Stopped after step {self.step} of {self.total}; a checkpoint was saved."
                    )
        finally:
            prefetcher.close()
            if log is not None:
                log.close()

    def _step(self, network: nn.Module, prefetcher: Prefetcher, meter: Meter) -> dict[str, Any]:
        """Run one optimiser step, and return the state of the loader after it."""
        train = self.config.train
        set_rate(self.optimiser, self.recipe, self.step, self.total)
        self.objective.begin_step(self.step / self.total)
        for part in range(train.accumulate):
            batch = next(prefetcher)
            last = part == train.accumulate - 1
            quiet = (
                network.no_sync()
                if not last and isinstance(network, DistributedDataParallel)
                else nullcontext()
            )
            with quiet:
                loss = self._loss(network, batch) / train.accumulate
                loss.backward()  # type: ignore[no-untyped-call]
            meter.add(loss)
            self.recent.add(self.objective.seen)
        self.objective.before_step(self.step / self.total)
        if train.clip:
            nn.utils.clip_grad_norm_(self.objective.parameters(), train.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.objective.after_step(self.step / self.total)
        return batch.state

    def _loss(self, network: nn.Module, batch: Step) -> Tensor:
        series = self.standardise(batch.counts)
        half = self.config.train.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss: Tensor = network(series, batch.places, self.draw)
        return loss

    def _figures(self, meter: Meter, prefetcher: Prefetcher) -> dict[str, float]:
        figures = meter.read(prefetcher) | {"rate": self.optimiser.param_groups[0]["lr"]}
        figures |= {name: float(value) for name, value in self.objective.monitors().items()}
        figures |= self.recent.figures()
        last = self.step == self.total
        if self.probe is not None and (last or self.step % self.config.train.checkpoint_steps == 0):
            figures["knn"] = self.probe(self.objective.exported)
        return figures

    def warning(self, figures: dict[str, float]) -> str | None:
        """Return the likely problem of a run with these figures, if there is one."""
        prototypes = self.config.dino.prototypes if self.config.objective == "dino" else 0
        return diagnosis(figures, prototypes)

    def _distributed(self) -> nn.Module:
        if world()[1] == 1:
            return self.objective
        # Batch-normalisation statistics stay local to each process. Queue and centre are equal in all
        # processes anyway.
        return DistributedDataParallel(self.objective, broadcast_buffers=False, gradient_as_bucket_view=True)

    def _agreed(self, stopped: Callable[[], bool]) -> bool:
        """Return whether any process was told to stop. Checked rarely if a check needs synchronisation."""
        if world()[1] == 1:
            return stopped()
        if self.step % self.config.train.log_steps:
            return False
        return bool(averaged(torch.tensor(float(stopped()), device=self.device)) > 0)

    def save(self, loader: dict[str, Any]) -> None:
        """Write a checkpoint. Only the first process writes, with the random states of all."""
        state = {
            "step": self.step,
            "loader": loader,
            "optimiser": self.optimiser.state_dict(),
            "random": self._random(),
        }
        if world()[0] == 0:
            checkpoint.save(self.folder / "checkpoints", self.step, self.objective, state)
        if world()[1] > 1:
            dist.barrier()

    def resume(self) -> None:
        """Continue from the newest readable checkpoint, if there is one."""
        paths = checkpoint.found(self.folder / "checkpoints")
        if not paths:
            return
        path, state = checkpoint.restore(paths, self.objective)
        if path != paths[-1] and world()[0] == 0:
            say(f"{paths[-1].name} is damaged: continuing from {path.name}.")
        self.optimiser.load_state_dict(state["optimiser"])
        self.loader.load_state_dict(state["loader"])
        own = state["random"][world()[0] % len(state["random"])]
        self.draw.set_state(own["draw"])
        torch.set_rng_state(own["cpu"])
        if "cuda" in own and self.device.type == "cuda":
            torch.cuda.set_rng_state(own["cuda"], self.device)
        self.step = int(state["step"])

    def _random(self) -> list[dict[str, Tensor]]:
        """Return the random states of every process."""
        own = {"draw": self.draw.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            own["cuda"] = torch.cuda.get_rng_state(self.device)
        if world()[1] == 1:
            return [own]
        everyone: list[Any] = [None] * world()[1]
        dist.all_gather_object(everyone, own)
        return everyone


class Meter:
    """Mean loss and speed since the last read. Losses stay on the device until then.

    Args:
        samples: number of samples per batch, over all processes.
        parts: number of batches per step.
    """

    def __init__(self, samples: int, parts: int = 1) -> None:
        self.samples, self.parts = samples, parts
        self._losses: list[Tensor] = []
        self._begin, self._waited = time.perf_counter(), 0.0

    def add(self, loss: Tensor) -> None:
        """Add the loss of a batch, which was divided by the number of batches per step."""
        self._losses.append(loss.detach())

    def read(self, prefetcher: Prefetcher) -> dict[str, float]:
        """Return ``loss``, ``samples_per_s`` and ``waiting``, the share of time spent waiting for input."""
        batches = len(self._losses)
        loss = float(
            averaged(torch.stack(self._losses).sum())
        )  # waits for the device, so that the speed is correct
        now = time.perf_counter()
        seconds, waited = now - self._begin, prefetcher.waited - self._waited
        self._losses, self._begin, self._waited = [], now, prefetcher.waited
        speed = self.samples * batches / seconds
        return {"loss": loss * self.parts / batches, "samples_per_s": speed, "waiting": waited / seconds}


def compile_blocks(network: nn.Module) -> None:
    """Compile the repeated blocks: they take most of the time, and compile quickly."""
    from spectralearth_build.pretrain.encoders import adapter, attention, resnet, swin

    for module in network.modules():
        if isinstance(
            module,
            adapter.SpectralAdapter | attention.TransformerBlock | resnet.ResidualBlock | swin.SwinBlock,
        ):
            module.compile()
