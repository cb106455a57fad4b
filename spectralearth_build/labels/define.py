"""Turn a user's request into the definition of a label: open, check and hash its rasters, and list its classes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.classes import NOMENCLATURES, LabelClass, Nomenclature, nomenclature
from spectralearth_build.labels.label_raster import Kind, LabelRaster, open_label_raster
from spectralearth_build.labels.resample import RULES
from spectralearth_build.labels.years import YEAR_RULES
from spectralearth_build.layout import LABEL_NAME
from spectralearth_build.progress import track
from spectralearth_build.store.labels import Definition, LabelSource
from spectralearth_build.store.manifest import entry_of_file

AUTO = "auto"
"""Choose the rule for each raster; see `resample.default_rule`."""
_GIVEN = re.compile(r"(?P<name>[^=]+)=(?P<path>.+?)(:(?P<year>[12]\d{3}))?")


@dataclass(frozen=True)
class Given:
    """A raster that the user gave."""

    path: str
    """File or URL in the form that rasterio accepts."""
    year: int = 0
    """Year of the raster; 0 for none."""


@dataclass(frozen=True)
class Request:
    """A label that the user asked for."""

    label: str
    """Name of the label."""
    rasters: tuple[Given, ...]
    """The rasters of the label."""
    nomenclature: str = ""
    """Name or CSV file of its classes; empty for a label without classes."""
    rule: str = AUTO
    """How values are resampled to the patches' grid."""
    year_rule: str = "nearest"
    """How the year of a patch's rasters is chosen."""
    threshold: float = 0.02
    """Smallest share of the labelled pixels with which a class counts as present in a patch."""
    least_labelled: float = 0.5
    """Smallest fraction of labelled pixels; patches with less are left out."""

    def __post_init__(self) -> None:
        if not LABEL_NAME.fullmatch(self.label):
            raise UsageError(
                f"'{self.label}' cannot be the name of a label.",
                remedy="Use at most 32 lower-case letters, digits and underscores, and begin with a letter.",
            )
        for given, known in ((self.rule, (AUTO, *RULES)), (self.year_rule, YEAR_RULES)):
            if given not in known:
                raise UsageError(f"There is no rule '{given}'.", remedy=f"Choose from {', '.join(known)}.")
        if not (0 <= self.threshold <= 1 and 0 <= self.least_labelled <= 1):
            raise UsageError("Shares must be between 0 and 1.", remedy="Write 5 percent as 0.05.")
        years = [each.year for each in self.rasters]
        names = [(each.year, Path(each.path).name) for each in self.rasters]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(
                f"Several rasters of {self.label} have the name {twice[0][1]}.", remedy="Rename all but one."
            )
        if 0 in years and any(years):
            raise UsageError(
                f"Some rasters of {self.label} have a year and some have none.",
                remedy="Type NAME=RASTER:YEAR for each of them.",
            )

    @property
    def ordered(self) -> tuple[Given, ...]:
        """The rasters sorted by year and file name, so that the order in which they are given does not matter."""
        return tuple(sorted(self.rasters, key=lambda each: (each.year, Path(each.path).name)))


def parse_rasters(texts: Sequence[str]) -> dict[str, tuple[Given, ...]]:
    """Parse rasters by label from the command line: NAME=RASTER or NAME=RASTER:YEAR; RASTER may have * for several.

    Raises:
        UsageError: a text does not have this form, or no file matches.
    """
    found: dict[str, tuple[Given, ...]] = {}
    for text in texts:
        parts = _GIVEN.fullmatch(text)
        if parts is None:
            raise UsageError(f"'{text}' is not a label and a raster.", remedy="Type NAME=RASTER[:YEAR].")
        path = parts["path"]
        paths = _matching(path) if "*" in path else [path]
        if not paths:
            raise UsageError("No file matches.", path, "Check the path.")
        year = int(parts["year"] or 0)
        found[parts["name"]] = (*found.get(parts["name"], ()), *(Given(_absolute(p), year) for p in paths))
    return found


def define(request: Request) -> Definition:
    """Open and hash the rasters of a label, and make the definition with everything that determines the label.

    Raises:
        UsageError: a raster cannot be used for labels, rasters do not match, or the nomenclature does not exist.
    """
    kind = _kind(request)
    classes = nomenclature(request.nomenclature) if request.nomenclature else None
    sources, types = [], dict[tuple[Kind, str, int | None], str]()
    for given in track(request.ordered, "hash rasters", len(request.rasters)):
        with open_label_raster(given.path, kind) as source:
            nodata = None if source.kind == "continuous" else int(source.nodata)
            types[source.kind, source.dtype.name, nodata] = source.name
            sources.append(LabelSource(source.name, given.year, *_fingerprint(given.path, source)))
    _check(request, types, classes)
    return Definition(
        request.label,
        *next(iter(types)),
        "" if classes is None else classes.name,
        () if classes is None else tuple(map(_document, classes.classes)),
        request.rule,
        request.year_rule,
        request.threshold,
        request.least_labelled,
        tuple(sources),
    )


def classes_of(definition: Definition) -> tuple[LabelClass, ...]:
    """The classes that a definition lists."""
    return tuple(
        LabelClass(int(c["index"]), str(c["name"]), str(c["colour"]), tuple(map(int, c["codes"])))
        for c in definition.classes
    )


def nomenclature_of(definition: Definition) -> Nomenclature:
    """The nomenclature as it was when the label was defined."""
    return Nomenclature(definition.nomenclature, definition.nomenclature, "", classes_of(definition))


def kind_of(definition: Definition) -> Kind:
    """The kind of a label: codes or quantities."""
    return "continuous" if definition.kind == "continuous" else "categorical"


def _kind(request: Request) -> Kind | None:
    """The kind that the rasters must have; None to infer it from their types."""
    if request.nomenclature:
        return "categorical"
    return "continuous" if request.rule == "mean" else None


def _check(
    request: Request, types: Mapping[tuple[Kind, str, int | None], str], classes: Nomenclature | None
) -> None:
    if len(types) > 1:
        same = len({each[:2] for each in types}) == 1
        listed = ", ".join(
            f"{name} is {kind} {dtype}" + (f" with nodata {nodata}" if same else "")
            for (kind, dtype, nodata), name in types.items()
        )
        raise UsageError(
            f"The rasters of {request.label} do not match: {listed}.",
            remedy="Give rasters of the same kind, type and nodata, or make two labels.",
        )
    ((kind, _, _),) = types
    if request.rule == ("majority" if kind == "continuous" else "mean"):
        raise UsageError(
            f"The rule {request.rule} does not apply to the {kind} values of {request.label}.",
            remedy="Use --rule mean for quantities, without --classes, and --rule majority for codes.",
        )
    if kind == "categorical" and classes is None:
        raise UsageError(
            f"{request.label} has codes, but their classes were not given.",
            remedy=f"Give --classes: {', '.join(NOMENCLATURES)}, or a CSV file with the columns codes,name,colour. "
            "For quantities, give --rule mean.",
        )


def _fingerprint(path: str, source: LabelRaster) -> tuple[int, str]:
    """Size and hash of a file; for a URL, 0 and the hash of its georeferencing, size and type."""
    if Path(path).is_file():
        found = entry_of_file(Path(path))
        return int(found["bytes"]), str(found["sha256"])
    head = source.crs.to_wkt(), tuple(source.transform), source.shape, source.dtype.name, source.nodata
    return 0, hashlib.sha256(repr(head).encode()).hexdigest()


def _matching(pattern: str) -> list[str]:
    """Files that match a pattern with *, sorted."""
    fixed = Path(*takewhile(lambda part: "*" not in part, Path(pattern).parts))
    return sorted(str(path) for path in fixed.glob(str(Path(pattern).relative_to(fixed))))


def _absolute(path: str) -> str:
    """An absolute path, because workers may run in another folder; URLs and /vsi paths are unchanged."""
    return str(Path(path).absolute()) if "://" not in path and not path.startswith("/vsi") else path


def _document(label: LabelClass) -> dict[str, object]:
    return {**asdict(label), "codes": list(label.codes)}
