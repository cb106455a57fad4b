import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import spectralearth_build
from spectralearth_build.archive import tile_list
from spectralearth_build.cli.app import app
from spectralearth_build.downstream import config_file
from spectralearth_build.errors import UsageError
from spectralearth_build.shipped import FOLDER, shipped
from spectralearth_build.storage.url import parse


def test_every_file_that_texts_name_is_there():
    """In the checkout; .ci/try_wheel.py looks for them in the wheel."""
    named = set()
    for source in Path(spectralearth_build.__file__).parent.rglob("*.py"):
        named |= set(re.findall(r"\b(?:docs|workflows|data_manifests)/[\w-]+\.\w+", source.read_text()))
    assert len(named) > 5
    assert [name for name in sorted(named) if not shipped(name).is_file()] == []


def test_messages_name_files_by_their_place_on_this_machine():
    with pytest.raises(UsageError) as caught:
        parse("s3://user:word@bucket/x")
    for text in (str(caught.value), config_file.REMEDY, tile_list._REMEDY):
        paths = re.findall(r"/\S+\.(?:md|toml)", text)
        assert paths
        assert all(Path(path).is_file() for path in paths)
    wide = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "2000", "TERM": "dumb"})
    assert str(FOLDER) in wide.output
