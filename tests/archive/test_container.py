"""Archives: what they hold, what comes out, and every way in which they are bad."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.archive import container
from spectralearth_build.archive.container import is_tar, is_zip, list_members, unpack
from spectralearth_build.errors import (
    BrokenArchiveError,
    EmptyFileError,
    MissingFileError,
    OutOfSpaceError,
    ProductError,
)

CONTENT = {"a/one.txt": b"1" * 700, "a/two.bin": os.urandom(3000), "b/empty": b"", "b/exact": b"x" * 1024}


def make_zip(path, content=CONTENT, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def make_tar(path, content=CONTENT, mode="w:gz", **facts):
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in facts.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))
    return path


MAKERS = {
    "a.zip": make_zip,
    "a.tar.gz": make_tar,
    "a.TGZ": make_tar,
    "a.tar": lambda path: make_tar(path, mode="w"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_goes_in_comes_out(tmp_path, name):
    path = MAKERS[name](tmp_path / name)
    listing = list_members(path)
    assert listing.members == tuple(CONTENT)
    assert listing.problem is None
    for some in (list(CONTENT), ["b/exact"], ["a/one.txt", "b/empty"]):
        wanted = {member: tmp_path / f"out{i}" for i, member in enumerate(some)}
        unpack(path, wanted)
        assert {member: file.read_bytes() for member, file in wanted.items()} == {k: CONTENT[k] for k in some}


def test_kinds_by_name():
    assert is_zip("x.ZIP")
    assert is_tar("x.tar.gz")
    assert is_tar("X.TGZ")
    assert not is_zip("x.tar.gz")
    assert not is_tar("x.gz")


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["a.zip", "a.tar.gz", "a.tar"]), keep=st.floats(0, 0.999))
def test_a_cut_archive_says_so_and_gives_what_was_whole(tmp_path_factory, name, keep):
    folder = tmp_path_factory.mktemp("cut")
    path = MAKERS[name](folder / name)
    data = path.read_bytes()
    trailing = 512 if name == "a.tar" else 0  # tar pads its end with zeros, which may go
    size = int(len(data.rstrip(b"\0") if trailing else data) * keep)
    path.write_bytes(data[:size])
    listing = list_members(path)
    assert isinstance(listing.problem, BrokenArchiveError | EmptyFileError)
    assert set(listing.members) <= set(CONTENT)
    wanted = {member: folder / f"out{i}" for i, member in enumerate(listing.members)}
    if wanted:
        unpack(path, wanted)
        assert all(file.read_bytes() == CONTENT[member] for member, file in wanted.items())
    if listing.cut:
        assert listing.cut not in listing.members
        with pytest.raises(BrokenArchiveError):
            unpack(path, {listing.cut: folder / "cut"})


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["a.zip", "a.tar.gz", "a.tar"]),
    place=st.floats(0, 0.9999),
    value=st.integers(0, 255),
    data=st.data(),
)
def test_damage_ends_in_a_class_of_ours(tmp_path_factory, name, place, value, data):
    folder = tmp_path_factory.getbasetemp()
    path = MAKERS[name](folder / name)
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] = value
    path.write_bytes(content)
    listing = list_members(path)
    assert listing.problem is None or isinstance(listing.problem, ProductError)
    try:
        unpack(path, {data.draw(st.sampled_from(list(CONTENT))): folder / "out"})
    except ProductError as error:
        assert name in str(error)  # noqa: PT017


def test_a_damaged_header_in_the_middle_is_noticed(tmp_path):
    path = make_tar(tmp_path / "a.tar", mode="w")
    content = bytearray(path.read_bytes())
    content[512 + 1024 + 5] ^= 1  # in the name of the second member: tarfile alone stops there without a word
    path.write_bytes(content)
    listing = list_members(path)
    assert listing.members == ("a/one.txt",)
    assert isinstance(listing.problem, BrokenArchiveError)


def test_a_zip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "HARMLESS", 2**20)
    path = make_zip(tmp_path / "a.zip", {"big": bytes(4 * 2**20), "small": bytes(2**19)})
    unpack(path, {"small": tmp_path / "small"})
    with pytest.raises(BrokenArchiveError, match="claim to hold 4194304"):
        unpack(path, {"big": tmp_path / "big"})
    content = path.read_bytes().replace((4 * 2**20).to_bytes(4, "little"), (2**20).to_bytes(4, "little"))
    path.write_bytes(content)  # now it lies about its size
    with pytest.raises(BrokenArchiveError):
        unpack(path, {"big": tmp_path / "big"})
    assert (tmp_path / "big").stat().st_size <= 2**20


def test_a_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "HARMLESS", 2**20)
    path = make_tar(tmp_path / "a.tar.gz", {"small": b"x", "big": bytes(4 * 2**20)})
    listing = list_members(path)
    assert (listing.members, listing.cut) == (("small",), "big")
    assert "unpacks to more than" in str(listing.problem)


def test_a_header_that_wants_memory_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**40
    with gzip.open(path, "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    assert "a header of" in str(list_members(path).problem)


def test_links_devices_and_sparse_files_are_not_members(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
        path = make_tar(tmp_path / "a.tar", {"x": b""}, "w", type=kind, linkname="/etc/passwd")
        assert list_members(path).members == ()
        with pytest.raises(BrokenArchiveError, match="x is absent"):
            unpack(path, {"x": tmp_path / "out"})


def test_an_encrypted_zip(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"x": b"secret"}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for signature, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flag] |= 1
    path.write_bytes(content)
    with pytest.raises(BrokenArchiveError, match=r"a\.zip: .*encrypted"):
        unpack(path, {"x": tmp_path / "out"})


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MAX_MEMBERS", 3)
    assert isinstance(list_members(make_zip(tmp_path / "a.zip")).problem, BrokenArchiveError)


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path):
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("needs /dev/full")
    path = make_zip(tmp_path / "a.zip", {"x": bytes(10**6)})
    (tmp_path / "out").symlink_to("/dev/full")
    with pytest.raises(OutOfSpaceError):
        unpack(path, {"x": tmp_path / "out"})


def test_an_archive_that_is_not_there(tmp_path):
    assert isinstance(list_members(tmp_path / "a.zip").problem, MissingFileError)


@pytest.mark.parametrize("packed", [False, True])
def test_tars_that_were_joined_are_not_taken_for_their_first(tmp_path, packed):
    parts = []
    for name in ("one", "two"):
        parts.append(tmp_path / f"{name}.tar")
        make_tar(parts[-1], {name: os.urandom(3000)}, mode="w")
    write = gzip.compress if packed else bytes
    joined = tmp_path / ("joined.tar.gz" if packed else "joined.tar")
    joined.write_bytes(b"".join(write(part.read_bytes()) for part in parts))
    found = list_members(joined)
    assert found.members == ("one",)
    assert "data follows its end mark" in str(found.problem)


def test_one_tar_may_be_compressed_in_pieces_and_padded(tmp_path):
    make_tar(tmp_path / "whole.tar", {"one": os.urandom(9000), "two": os.urandom(9000)}, mode="w")
    data = (tmp_path / "whole.tar").read_bytes() + bytes(3 << 20)
    pieces = tmp_path / "pieces.tar.gz"
    pieces.write_bytes(gzip.compress(data[:9999]) + gzip.compress(data[9999:]) + bytes(512))
    assert list_members(pieces) == container.Listing(("one", "two"))
