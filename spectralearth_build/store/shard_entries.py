"""Size and hash of the shards and commit records of a dataset, in about 100 bytes a shard."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from spectralearth_build.layout import commit_name, shard_name, shard_of
from spectralearth_build.store.manifest import Entry, entry

_DIGEST = 32
_LARGEST = 2**63


class ShardEntries(Mapping[str, Entry]):
    """The entries of the manifest for shards and records, by path below the dataset, in the order in which they came.

    What does not look like the entry of a file, which only a damaged record can say, is kept as it is.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._sizes = array("q")
        self._hashes = bytearray()
        self._odd: dict[str, Entry] = {}

    def add(self, shard: int, size: int, sha256: str, record: bytes) -> None:
        """Add a shard.

        Args:
            shard: number of the shard.
            size: size of the shard in bytes.
            sha256: hash of the shard, as hexadecimal digits.
            record: content of its commit record.
        """
        both: tuple[Entry, Entry] = entry(record), {"bytes": size, "sha256": sha256}
        self._places[shard] = len(self._sizes) // 2
        for name, each in zip(_names(shard), both, strict=True):
            self._odd.pop(name, None)
            digest = _digest(each) if shard_of(name) == shard else None
            if digest is None:
                self._odd[name] = each
            self._sizes.append(0 if digest is None else int(each["bytes"]))
            self._hashes += digest or bytes(_DIGEST)

    def __getitem__(self, name: str) -> Entry:
        if name in self._odd:
            return self._odd[name]
        shard = shard_of(name)
        if shard is None or shard not in self._places or name not in _names(shard):
            raise KeyError(name)
        place = 2 * self._places[shard] + _names(shard).index(name)
        digest = self._hashes[_DIGEST * place : _DIGEST * (place + 1)]
        return {"bytes": self._sizes[place], "sha256": digest.hex()}

    def __iter__(self) -> Iterator[str]:
        for shard in self._places:
            yield from _names(shard)

    def __len__(self) -> int:
        return 2 * len(self._places)


def _names(shard: int) -> tuple[str, str]:
    return commit_name(shard), shard_name(shard)


def _digest(each: Entry) -> bytes | None:
    """Return the bytes of a hash; None if this is not the size and hash of a file."""
    size, told = int(each["bytes"]), str(each["sha256"])
    try:
        digest = bytes.fromhex(told)
    except ValueError:
        return None
    return digest if 0 <= size < _LARGEST and len(digest) == _DIGEST and digest.hex() == told else None
