"""The module that knows a dataset's layout: its names are said there alone, and lead to what builds write."""

import ast
import re
from pathlib import Path

import pytest

from spectralearth_build import layout, tables

PACKAGE = Path(layout.__file__).parent
FILES = {
    name
    for value in vars(layout).values()
    for name in ((value,) if isinstance(value, str) else value if isinstance(value, tuple) else ())
    if re.search(r"\.[a-z]+$", name)
}
FOLDERS = {layout.COMMITS, layout.LABELS, layout.WORK, layout.STORE, layout.REFLECTANCE}
SPELLED = re.compile(
    rf"([^ ]*/)?({'|'.join(re.escape(name) for name in sorted(FILES))})"
    rf"|({'|'.join(re.escape(name) for name in sorted(FOLDERS))})/[^ ]*"
)


def spelled(tree):
    """Texts of a module that are names of a dataset's files, or of folders that something is joined to."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
            if SPELLED.fullmatch(text):
                yield text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SPELLED.fullmatch(node.value) and id(node) not in parts | said:
                yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            for side in (node.left, node.right):
                if isinstance(side, ast.Constant) and side.value in FOLDERS:
                    yield side.value


@pytest.mark.slow
def test_nobody_else_spells_them():
    found = {
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != Path(layout.__file__)
        for text in spelled(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "code", ['a / "commits"', 'x = "plan.json"', 'f"{a}/zarr.json"', 'f"work/{a}"', 'open(a / "work" / b)'],
)  # fmt: skip
def test_that_would_be_noticed(code):
    assert [*spelled(ast.parse(code))]
    assert not [*spelled(ast.parse('say("see plan.json", f"Delete {a}", "statistics", "work")'))]


def test_every_table_has_its_file_there():
    assert {table.file for table in tables.ALL} == {name for name in FILES if name.endswith(".parquet")}


def test_names_of_shards_and_records():
    for shard in (0, 7, 123456789):
        for name in (layout.shard_name(shard), layout.commit_name(shard)):
            assert layout.shard_of(name) == shard
            assert layout.label_of(name) == ""
        for name in (layout.label_shard("corine", shard), layout.label_record("corine", shard)):
            assert layout.shard_of(name) is None
            assert not layout.is_shard(name)
    assert layout.label_of(layout.label_definition("corine")) == "corine"
    for name in (
        "commits/shard-1.json.partial",
        "store.zarr/reflectance/zarr.json",
        "commits/label_a-00000001.json",
    ):
        assert layout.shard_of(name) is None


def test_which_shards_have_a_record(tmp_path):
    assert layout.committed_shards(tmp_path) == []
    (tmp_path / layout.COMMITS).mkdir()
    for name in (layout.commit_name(12), layout.commit_name(3), layout.label_record("corine", 5)):
        (tmp_path / name).write_bytes(b"")
    assert layout.committed_shards(tmp_path) == [3, 12]


def test_a_file_with_another_name_is_no_record(tmp_path):
    (tmp_path / "commits").mkdir()
    for name in ("shard-00000003.json", "shard-x.json", "shard-00000001.json", "shard-1 (copy).json"):
        (tmp_path / "commits" / name).touch()
    assert layout.committed_shards(tmp_path) == [1, 3]


@pytest.mark.slow
def test_statuses_are_not_spelled_either():
    words = {*layout.TileStatus, *layout.PatchStatus}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("['status']"):
                right = node.comparators[0]
                assert not isinstance(right, ast.Constant) or right.value not in words, path
