"""A server of the files below a folder as objects, which answers range requests after a delay.

It knows as much of the S3 protocol as reading takes. The first part of a URL, the bucket, tells the delay: ``after-50``
answers after 50 ms. It runs in a process of its own: ``python -m ... FOLDER`` prints its port.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

_BUCKET = re.compile(r"after-(\d+)")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


def bucket(delay_ms: int) -> str:
    """Return the bucket whose objects come after a delay."""
    return f"after-{delay_ms}"


async def serve(folder: Path) -> None:
    """Serve until the process is ended."""
    files: dict[str, int] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await _respond(folder, files, head.decode("latin-1").split("\r\n"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _respond(
    folder: Path, files: dict[str, int], lines: list[str], writer: asyncio.StreamWriter
) -> None:
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    place, _, name = unquote(target.partition("?")[0]).lstrip("/").partition("/")
    delay = _BUCKET.fullmatch(place)
    await asyncio.sleep(int(delay[1]) / 1000 if delay else 0)
    try:
        if name not in files:
            files[name] = os.open(folder / name, os.O_RDONLY)
        size = os.fstat(files[name]).st_size
    except OSError:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    start, stop = _asked(headers.get("range", ""), size)
    partial = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n" if "range" in headers else ""
    status = "206 Partial Content" if partial else "200 OK"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {stop - start}\r\n{partial}"
    writer.write(f'{head}ETag: "{name}"\r\nLast-Modified: {_DATE}\r\n\r\n'.encode())
    if method == "GET":
        writer.write(os.pread(files[name], stop - start, start))
    await writer.drain()


def _asked(header: str, size: int) -> tuple[int, int]:
    """Return first byte and end of the range that a header asks for."""
    found = _RANGE.fullmatch(header)
    if not found:
        return 0, size
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
