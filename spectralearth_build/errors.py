"""All errors that users can act on, each a class with a remedy.

A message names the file, says what was found and what was expected, and ends with what to do.
Tables, the report and the tests identify a problem by its class name (column ``error_class``).
"""

from __future__ import annotations

from pathlib import Path

from spectralearth_build.layout import TileStatus
from spectralearth_build.texts import as_text, is_utf8


class BuildError(Exception):
    """Base class of all errors that a user can act on.

    Args:
        what: what was found and what was expected, in one sentence.
        path: the file or folder concerned, if any.
        remedy: what to do about it; None for the default of the class.
    """

    remedy = "Please report this."

    def __init__(self, what: str, path: Path | str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, path, remedy)  # all arguments, so that the error can be pickled
        self.what = what
        # The limit fits any path. Shortened, the same message would differ between machines.
        self.path = None if path is None else printable(path, limit=4096)
        self.remedy = remedy or type(self).remedy

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        between = "" if self.what.endswith("\n") else " "  # `listed` ends with a line break
        return f"{where}{self.what}{between}{self.remedy}"


class ConfigError(BuildError):
    """A setting is unknown, has the wrong type or is out of range. Exit code 2."""

    remedy = "Type `spectralearth-build config template` to see all settings."


class UsageError(BuildError):
    """A command or function got an argument that it cannot work with. Exit code 2."""

    remedy = "Type the command with --help, or help(FUNCTION) in Python."


class PlanChangedError(BuildError):
    """Settings or inputs differ from those of a plan that has been partly or fully cut. Exit code 2."""

    remedy = "Use the old settings (--config, --set), or choose a new dataset folder."


class NothingFoundError(UsageError):
    """No input can be used, so there is nothing to build. Exit code 2."""

    remedy = "Check the archive, the tile list and the settings."


class OutOfSpaceError(BuildError):
    """The disk of the output is full, over quota or read-only. Exit code 28."""

    remedy = "Free some space and run the same command again. Nothing that was written is lost."


class StorageError(BuildError):
    """An object store refuses a request, does not answer, or lacks a required guarantee. Exit code 69."""

    remedy = (
        "Check credentials, endpoint and network, then run the same command again. Nothing written is lost."
    )


class ArchiveError(BuildError):
    """The archive, or the disk of the archive or the dataset, is gone or does not answer. Exit code 69."""

    remedy = "Mount it again or restore the connection, then run the same command again. No product was quarantined."


class ClusterError(BuildError):
    """The batch system refuses jobs or does not answer, or its jobs end before they do any work. Exit code 69."""

    remedy = "Correct the settings in run.slurm, or ask your administrator, then run the same command again."


class MachineError(BuildError):
    """Every product would fail because of this machine, a limit or an environment variable. Exit code 2."""

    remedy = "Correct it and run the same command again."


class StoppedError(BuildError):
    """The run stopped because of a signal. Exit code 75."""

    remedy = "Run the same command again to continue."


class DamagedError(BuildError):
    """A finished dataset differs from its manifest. Exit code 1."""

    remedy = "Run `repair DATASET --archive ARCHIVE`."


class ProductError(BuildError):
    """A product cannot be used and is left out. ``status`` is its status in the tables."""

    status = TileStatus.QUARANTINED
    remedy = "Download the product again."
    lasting = True
    """Whether the error persists while the files stay the same. If not, the disk, permissions or the machine may have
    caused it, and every run tries the product again."""

    def __init__(self, what: str, path: Path | str | None = None, remedy: str | None = None) -> None:
        super().__init__(printable(what, limit=2000), path, remedy)  # the text may quote a file


# --- damaged files: quarantined -------------------------------------------------------------------------


class EmptyFileError(ProductError):
    """A file of zero bytes."""


class UnreadableFileError(ProductError):
    """The file system refuses to open the file."""

    remedy = "Check its permissions and owner."
    lasting = False


class MediumError(UnreadableFileError):
    """The disk or the connection fails while this file is read, although other files can be read."""

    remedy = "Check the disk, or copy the product from elsewhere; the next run tries it again."


class MissingFileError(ProductError):
    """The product lacks its metadata, its spectral image or a quality layer."""

    remedy = "Put the missing file there, or download the product again."
    lasting = False


class BrokenArchiveError(ProductError):
    """A .zip or .tar.gz that cannot be unpacked, or that holds more than it may."""


class BrokenMetadataError(ProductError):
    """METADATA.XML is not well-formed, too large, declares a DTD, or lacks a required element."""

    remedy = "Download the product again; if it is as delivered, please report this message."


class BrokenRasterError(ProductError):
    """A GeoTIFF that cannot be opened or decoded (truncated, interrupted download, flipped bits)."""


class HoleError(ProductError):
    """Every pixel with data lies in a hole: blocks are missing or zero, as after an interrupted download."""


class WrongTypeError(ProductError):
    """The raster is not int16, for example a float32 copy with NaN for nodata."""

    remedy = "Use the product as delivered, not a copy that was converted or made by another processor."


class BandMismatchError(ProductError):
    """Number of bands and of wavelengths differ, or a nominal band has no band near enough."""

    remedy = "Use the product as delivered; if it is, please report its band table."


class MetadataMismatchError(ProductError):
    """XML and raster disagree on size, corners or coordinate system."""

    remedy = "Use the product as delivered, not a crop, a reprojected copy or a mixture of files."


class NoValidPixelError(ProductError):
    """No pixel inside the footprint has data in every kept band."""

    remedy = "If the product is as delivered, take another processor version of the tile; otherwise download it again."


class ContentChangedError(ProductError):
    """The product was replaced or changed after scan read it."""

    remedy = "Run `build` again; it scans the product again."
    lasting = False


class HostileNameError(ProductError):
    """A path that no product may have: line breaks, markup, or a way out of the archive."""

    remedy = "Remove or rename it."


class WorkerLostError(ProductError):
    """The process that read this product, and nothing else, crashed."""

    remedy = "Download the product again; if that does not help, please report this."
    lasting = False


class TimeLimitError(ProductError):
    """The process that read this product, and nothing else, did not come back in time."""

    remedy = "Download the product again, or raise run.task_timeout."
    lasting = False


class MemoryLimitError(ProductError):
    """The process that read this product, and nothing else, took more memory than a worker may."""

    remedy = "Download the product again, or raise run.memory_limit."
    lasting = False


# --- sound files that do not belong here: rejected ------------------------------------------------------


class WrongLevelError(ProductError):
    """A product of another level (L0, L1B, L1C) among L2A products."""

    status = TileStatus.REJECTED
    remedy = "Order the L2A product."


class OffLatticeError(ProductError):
    """The raster is not on a UTM zone's 30 m lattice (other projection, pixel size or origin)."""

    status = TileStatus.REJECTED
    remedy = "Order it in UTM at 30 m."


class OutsideUtmError(ProductError):
    """The tile lies poleward of 84 degrees north or 80 degrees south."""

    status = TileStatus.REJECTED
    remedy = "UTM ends there; leave such tiles out."


class OtherCorrectionError(ProductError):
    """The values are of another quantity: water mode in a land dataset, or land mode in a water dataset."""

    status = TileStatus.REJECTED
    remedy = "To use it, set scan.correction to the other quantity in a new dataset."


class UnknownCorrectionError(ProductError):
    """The metadata name an unknown correction, so it is not known what the values are."""

    status = TileStatus.REJECTED
    remedy = "Order the product in land mode; if DLR's processor wrote this word, please report it."


class PoorQualityError(ProductError):
    """Night, low sun, or overall quality below the thresholds of the configuration."""

    status = TileStatus.REJECTED
    remedy = "To use it, relax the `quality` settings, or accept this tile alone with scan.accept."


def is_lasting(error_class: str) -> bool:
    """Whether errors of the named class of this module persist while the files stay the same."""
    kind = globals().get(error_class)
    return isinstance(kind, type) and issubclass(kind, ProductError) and kind.lasting


def error_named(error_class: str) -> type[ProductError]:
    """The class of errors of products with a name; `ProductError` if there is none."""
    kind = globals().get(error_class)
    return kind if isinstance(kind, type) and issubclass(kind, ProductError) else ProductError


def require_utf8(path: Path) -> None:
    """Refuse a path that is not valid UTF-8, because tables, Zarr and GDAL cannot name the files below it.

    Raises:
        UsageError: the absolute path is not valid UTF-8.
    """
    if not is_utf8(path.absolute()):
        raise UsageError("The path is not UTF-8.", path.absolute(), "Rename that folder, or choose another.")


def printable(path: Path | str, limit: int = 300) -> str:
    r"""A path that is safe to print in a terminal, a table or a page: control characters escaped, length limited.

    A byte of a file name that is not valid UTF-8 becomes, for example, ``\xff``.
    """
    text = "".join(c if c.isprintable() else _escaped(c) for c in str(path))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _escaped(character: str) -> str:
    return as_text(character) if not is_utf8(character) else character.encode("unicode_escape").decode()
