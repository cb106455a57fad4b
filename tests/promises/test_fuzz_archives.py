"""Hostile zips and tars: damaged headers and tables, strange members, archives in archives."""

import gzip
import io
import tarfile
import warnings
import zipfile

import pytest
from hypothesis import strategies as st

from tests.support import fuzz_targets as targets
from tests.support.watched import Watched, attack

NAME = targets.SPEC.product_id
KINDS = [tarfile.REGTYPE] * 6 + [
    tarfile.AREGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE,
    tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, b"?",
]  # fmt: skip
ARCHIVES = [f"{NAME}.zip", "order.zip", "order.tar", "order.tar.gz", f"{NAME}.tgz"]
NUMBERS = [0, 1, 8, 14, 20, 99, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """The files of a sound product by name."""
    folder = targets.sound_product(tmp_path_factory.mktemp("sound"), targets.LAYOUTS["deflate"])
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    process = Watched(targets.read_archive, tmp_path_factory.mktemp("archives") / "inside")
    yield process
    process.close()


def test_fuzz_damaged_archives(fuzz_trials, watched, product):
    """100 in CI: bytes of headers and tables of sound archives changed, archives cut."""
    packed = _zip([(name, data) for name, data in product.items()])
    order = _tar([(f"{NAME}.zip", tarfile.REGTYPE, packed)])
    sound = {f"{NAME}.zip": packed, "order.tar": order, "order.tar.gz": gzip.compress(order, 1, mtime=0)}

    @st.composite
    def cases(draw):
        name = draw(st.sampled_from(sorted(sound)))
        data = order if draw(st.booleans()) and name != f"{NAME}.zip" else sound[name]
        value = st.sampled_from(NUMBERS).map(lambda n: n.to_bytes(4, "little")) | st.binary(
            min_size=1, max_size=4
        )
        edits = draw(st.lists(st.tuples(st.sampled_from(_spots(data)), value), min_size=1, max_size=4))
        data = targets.edited(data, edits, draw(st.sampled_from([1.0] * 6 + [0.99, 0.5, 0.001])))
        if name != f"{NAME}.zip" and data[:2] != b"\x1f\x8b" and draw(st.booleans()):
            data = _resealed(data)
        return name, gzip.compress(data, 1, mtime=0) if name.endswith("gz") and draw(st.booleans()) else data

    print(
        f"{attack(cases(), watched.read, fuzz_trials or 100, bool(fuzz_trials))} damaged archives:",
        watched.summary(),
    )


def test_fuzz_strange_archives(fuzz_trials, watched, product, baits):
    """100 in CI: any members of any name and kind, archives in archives."""
    outward = [
        str(baits.pipe),
        f"../../{baits.folder.name}/new",
        "/etc/passwd",
        "..\\..\\new",
        "a\nb.zip",
        "<b>.zip",
    ]
    odd = [
        *outward,
        "",
        ".",
        "/",
        "a/../b",
        "!",
        f"{NAME}.zip",
        f"{NAME}.zip",
        "x.tar.gz",
        "\udcff.zip",
        "é" * 200,
    ]
    names = st.sampled_from([*product, *product, *(f"{NAME}/{name}" for name in product), *odd]) | st.text(
        max_size=8
    )
    whole = _zip(list(product.items()))
    data = st.sampled_from([*product.values(), whole, whole, whole[:5000], b"", bytes(70_000)]) | st.binary(
        max_size=600
    )
    member = st.tuples(names, st.sampled_from(KINDS), data)
    flat = st.lists(member, max_size=5)
    nested = st.lists(
        st.tuples(names, st.sampled_from(KINDS), data | flat.map(_packed) | flat.map(_tar)), max_size=5
    )
    complete = st.builds(lambda more: [(n, tarfile.REGTYPE, d) for n, d in product.items()] + more, flat)

    def archive(name, members, cut):
        content = _packed(members) if name.endswith(".zip") else _tar(members, str(baits.pipe))
        content = gzip.compress(content, 1, mtime=0) if name.endswith("gz") else content
        return name, content[: int(len(content) * cut)]

    cases = st.builds(
        archive, st.sampled_from(ARCHIVES), nested | complete, st.sampled_from([1.0] * 9 + [0.7])
    )
    print(
        f"{attack(cases, watched.read, fuzz_trials or 100, bool(fuzz_trials))} strange archives:",
        watched.summary(),
    )


def _zip(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name twice is meant
        for name, data in members:
            item = zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x")
            archive.writestr(item, data, zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


def _packed(members: list[tuple[str, bytes, bytes]]) -> bytes:
    return _zip([(name, data) for name, _, data in members])


def _tar(members: list[tuple[str, bytes, bytes]], link: str = "/etc/passwd") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, data in members:
            item = tarfile.TarInfo(name.replace("\0", "0"))
            item.type, item.size, item.linkname = kind, len(data), link
            try:
                archive.addfile(item, io.BytesIO(data))
            except ValueError:  # a name that the format cannot hold
                continue
    return buffer.getvalue()


def _spots(data: bytes) -> list[int]:
    """Places in headers and tables, one in a hundred elsewhere."""
    if data[:2] == b"PK":
        table = data.rindex(b"PK\x05\x06")
        start = int.from_bytes(data[table + 16 : table + 20], "little")
        return [*range(46), *range(start, len(data)), *range(100, start, max(1, start // 20))]
    if data[:2] == b"\x1f\x8b":
        return [*range(20), *range(len(data) - 12, len(data)), *range(20, len(data), max(1, len(data) // 20))]
    return [*range(512), 156, 156, 156, *range(124, 136), *range(512, len(data), max(1, len(data) // 20))]


def _resealed(data: bytes) -> bytes:
    """Make the sum of the first header right again, so that what it says is looked at."""
    if len(data) < 512:
        return data
    total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    return data[:148] + f"{total:06o}\0 ".encode() + data[156:]
