"""What test patches have in common with patches that encoders and heads were trained on, in sentences for the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.downstream.grid import CellJob, weight_files
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.exposure import Exposure, exposure_of, judged_places
from spectralearth_build.pretrain.weights_identity import require_statistics
from spectralearth_build.split.steps import check_dataset


def refuse_seen(config: GridConfig, cells: Sequence[CellJob]) -> None:
    """Refuse encoders that were trained on ground of val or test, unless their cells allow it.

    Raises:
        UsageError: There is one, or weights in a file of torch without statistics. The message names the file.
    """
    for file in {job.weights for job in cells if job.weights}:
        require_statistics(Path(file))
    judged = {job.weights for job in cells if job.weights and not job.settings.get("allow_seen")}
    for encoder, exposure in _exposures(config, judged).items():
        exposure.refuse(encoder)


def told(config: GridConfig) -> list[str]:
    """Return a sentence on the parts of the dataset, and one on each group of encoders with the same exposure."""
    found: dict[str, list[str]] = {}
    for file, exposure in _exposures(config, weight_files(config)).items():
        said = exposure.note() or "Trained on no ground of val and test:"
        found.setdefault(said, []).append(f"{file.parent.name}/{file.name}")
    return [_parts(config), *(f"{said} {', '.join(files)}" for said, files in found.items())]


def _parts(config: GridConfig) -> str:
    leaks = check_dataset(open_dataset(config.dataset).path).leaks
    count = int(leaks.sizes[leaks.parts.index("test")])
    leaking = round(leaks.share("test") * count)
    if not leaking:
        return "Test patches share no ground, tile or datatake with patches of other parts."
    return (
        f"{leaking} of {count} test patches share ground, a tile or a datatake with patches of other parts."
    )


def _exposures(config: GridConfig, weights: Iterable[str]) -> dict[Path, Exposure]:
    """Return what encoders have seen. A file that cannot be read is left out: it costs only its cells."""
    places, found = judged_places(open_dataset(config.dataset)), {}
    for encoder in map(Path, sorted(weights)):
        with suppress(UsageError):
            found[encoder] = exposure_of(encoder, places)
    return found
