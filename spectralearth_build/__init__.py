"""Build multi-temporal hyperspectral pretraining datasets from EnMAP L2A archives.

What this module exports is the public interface; docs/api.md describes it. Names are imported when they are first used,
so importing the package takes no time and never needs torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spectralearth_build.version import __version__

if TYPE_CHECKING:
    from spectralearth_build import errors
    from spectralearth_build.api.building import (
        Built,
        build_dataset,
        cut_patches,
        plan_patches,
        scan_archive,
    )
    from spectralearth_build.api.checking import build_status, repair_dataset, verify_dataset, write_report
    from spectralearth_build.api.entry import load_config
    from spectralearth_build.api.exporting import export_dataset, recode_dataset
    from spectralearth_build.api.judging import compare_encoders, evaluate_encoder
    from spectralearth_build.api.labelling import drop_labels, pair_labels
    from spectralearth_build.api.splitting import check_split, export_split, import_split, split_dataset
    from spectralearth_build.api.training import embed_patches, load_encoder, pretrain_encoder
    from spectralearth_build.api.weights import export_encoder, import_encoder, timm_style
    from spectralearth_build.checking.damage import Damage
    from spectralearth_build.config import Config
    from spectralearth_build.dataset.access import Dataset, open_dataset
    from spectralearth_build.labels.read import LabelSet, open_labels
    from spectralearth_build.loader.loader import Loader
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.progress import set_quiet

_FROM = {
    "Built": "api.building",
    "Config": "config",
    "Damage": "checking.damage",
    "Dataset": "dataset.access",
    "LabelSet": "labels.read",
    "Loader": "loader.loader",
    "PretrainConfig": "pretrain.training_config",
    "build_dataset": "api.building",
    "build_status": "api.checking",
    "check_split": "api.splitting",
    "compare_encoders": "api.judging",
    "cut_patches": "api.building",
    "drop_labels": "api.labelling",
    "embed_patches": "api.training",
    "evaluate_encoder": "api.judging",
    "export_dataset": "api.exporting",
    "export_encoder": "api.weights",
    "export_split": "api.splitting",
    "import_encoder": "api.weights",
    "import_split": "api.splitting",
    "load_config": "api.entry",
    "load_encoder": "api.training",
    "open_dataset": "dataset.access",
    "open_labels": "labels.read",
    "pair_labels": "api.labelling",
    "plan_patches": "api.building",
    "pretrain_encoder": "api.training",
    "recode_dataset": "api.exporting",
    "repair_dataset": "api.checking",
    "scan_archive": "api.building",
    "set_quiet": "progress",
    "split_dataset": "api.splitting",
    "timm_style": "api.weights",
    "verify_dataset": "api.checking",
    "write_report": "api.checking",
}
"""The module of each public name."""

__all__ = [
    "Built",
    "Config",
    "Damage",
    "Dataset",
    "LabelSet",
    "Loader",
    "PretrainConfig",
    "__version__",
    "build_dataset",
    "build_status",
    "check_split",
    "compare_encoders",
    "cut_patches",
    "drop_labels",
    "embed_patches",
    "errors",
    "evaluate_encoder",
    "export_dataset",
    "export_encoder",
    "export_split",
    "import_encoder",
    "import_split",
    "load_config",
    "load_encoder",
    "open_dataset",
    "open_labels",
    "pair_labels",
    "plan_patches",
    "pretrain_encoder",
    "recode_dataset",
    "repair_dataset",
    "scan_archive",
    "set_quiet",
    "split_dataset",
    "timm_style",
    "verify_dataset",
    "write_report",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name when it is asked for."""
    if name == "errors":
        return import_module("spectralearth_build.errors")
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"spectralearth_build.{_FROM[name]}"), name)
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return __all__
