"""The process that reads hostile input sees what readers must not do; else its silence would say nothing."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.support.watched import Watched

FAULTS = {
    "reads": "forbidden: open '/etc/hostname'",
    "lists": "forbidden: os.scandir",
    "writes": "forbidden: open",
    "follows a link": "forbidden: open",
    "renames": "forbidden: os.rename",
    "deletes": "forbidden: os.remove",
    "connects": "forbidden: socket.",
    "asks for an address": "forbidden: ",
    "starts a process": "forbidden: subprocess.Popen",
    "hides it": "forbidden: open '/etc/hostname'",
    "raises": "KeyError: 'hole'",
    "crashes": "the process died, exit code -11",
    "hangs": "no answer in 3 s",
    "takes memory": "MemoryError",
}


def misbehave(folder: Path, fault: str) -> str:
    """Do one thing that no reader may do."""
    outside = folder.parent / "outside"
    if fault in ("reads", "hides it"):
        try:
            Path("/etc/hostname").read_bytes()
        except Exception:
            if fault == "reads":
                raise
    elif fault == "lists":
        list(os.scandir(outside))
    elif fault == "writes":
        (outside / "new").write_bytes(b"")
    elif fault == "follows a link":
        (folder / "link").symlink_to(outside / "new")
        (folder / "link").write_bytes(b"")
    elif fault == "renames":
        (folder / "here").write_bytes(b"")
        (folder / "here").rename(outside / "there")
    elif fault == "deletes":
        (outside / "file").unlink()
    elif fault == "connects":
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    elif fault == "asks for an address":
        urllib.request.urlopen("http://localhost:9/", timeout=1)
    elif fault == "starts a process":
        subprocess.run(["true"], check=True)
    elif fault == "raises":
        raise KeyError("hole")
    elif fault == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "hangs":
        time.sleep(100)
    elif fault == "takes memory":
        np.ones(8 * 2**30, np.uint8)
    return "nothing was done"


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    (folder / "outside").mkdir()
    (folder / "outside" / "file").write_bytes(b"")
    process = Watched(misbehave, folder / "inside", limit=3)
    yield process
    process.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(watched, fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        watched.read(fault)
    assert [path.name for path in (watched.folder.parent / "outside").iterdir()] == ["file"]
    watched.read("nothing")  # and it is as before


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_baits_are_taken_by_a_trusting_reader(baits, tmp_path):
    """A VRT opened without naming its driver makes GDAL ask the server."""
    path = tmp_path / "a.TIF"
    path.write_text(
        "<VRTDataset rasterXSize='8' rasterYSize='8'><VRTRasterBand dataType='Int16' band='1'><SimpleSource>"
        f"<SourceFilename>/vsicurl/{baits.url}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with (
        rasterio.Env(GDAL_HTTP_TIMEOUT="1", GDAL_HTTP_MAX_RETRY="0"),
        pytest.raises(rasterio.errors.RasterioError),
        rasterio.open(path) as dataset,
    ):
        dataset.read()
    with pytest.raises(AssertionError, match="came to the server"):
        baits.check()
