"""docs/targets.md: the reference follows the code, and the example is a valid board."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from edgeq import target
from edgeq.target import schema

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("target_reference", DOCS / "target_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(script: ModuleType) -> None:
    page = (DOCS / "targets.md").read_text(encoding="utf-8")
    assert page == script.updated(page), "run: python docs/target_reference.py"


def test_every_key_is_explained(script: ModuleType) -> None:
    classes = [c for c in vars(schema).values() if isinstance(c, type) and dataclasses.is_dataclass(c)]
    assert len(classes) > 15
    for cls in classes:
        assert set(script.explained(cls)) == {f.name for f in dataclasses.fields(cls)}, cls.__name__
        assert cls.__name__ == "Board" or f"`{cls.__name__}`" not in script.reference()


def test_the_example_is_valid(tmp_path: Path) -> None:
    page = (DOCS / "targets.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    path = tmp_path / "my-board.toml"
    path.write_text(example[1], encoding="utf-8")
    assert target.validate_file(path) == ("board", "my-board")
    assert target.load_file(path).wait_states == 3


def test_the_boards_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("board_pages", DOCS / "board_pages.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    there = {page.name: page.read_text("utf-8") for page in (DOCS / "boards").glob("*.md")}
    assert there == made.pages(), "run: python docs/board_pages.py"
    for board in made.boards():
        page = there[f"{board.name}.md"]
        assert all(f"**{runner}**" in page for runner in board.board.runners if runner != "virtual")
        assert f"{board.board.console.baud} baud" in page


def test_every_message_of_flashing_is_one_that_is_said() -> None:
    """The first columns of docs/flashing.md and docs/devices.md quote the code."""
    package = DOCS.parent / "edgeq"
    said = " ".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    for name in ("flashing.md", "devices.md"):
        rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", (DOCS / name).read_text("utf-8"), re.MULTILINE)
        for row in rows:
            if row in ("it says", "runner") or row.startswith(("`", "---")):
                continue
            words = max(re.split(r"[…:]|0x|, and|screen|/dev\S+|2 devices|2341:005a", row), key=len).strip()
            assert words in said or row.startswith("No DFU"), (name, row, words)
