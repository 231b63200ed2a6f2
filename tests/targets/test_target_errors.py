"""Files of the user's own that are wrong: each gets the sentence that helps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeq import resources, target
from edgeq.errors import TargetFileError, UsageError

SHIPPED = resources.folder("targets")


def changed(folder: Path, kind: str, name: str, old: str, new: str) -> Path:
    """A shipped file with one thing changed, in a folder of the user's own."""
    text = (SHIPPED / kind / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    path = folder / kind / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


BOARD, CHIP, LINUX = ("boards", "nucleo-u575zi-q"), ("socs", "stm32u575"), ("linux", "raspberry-pi-4b")
WRONG = [
    (BOARD, "clock_hz = 160", "clock_mhz = 160", "unknown key 'clock_mhz'", "did you mean 'clock_hz'?"),
    (BOARD, "baud = 115_200", "speed = 115_200", "unknown key 'console.speed'", "known keys: alternate_function, baud"),
    (BOARD, "active_mw = ", "active_mW = ", "unknown key 'power.active_mW'", "did you mean 'active_mw'?"),
    (BOARD, "clock_hz = 160_000_000\n", "clock_hz = 200_000_000\n", "clock_hz is 200000000 but", ""),
    (BOARD, "clock_hz = 160_000_000\nrun", "run", "'clock_hz' is missing", "add clock_hz"),
    (BOARD, "[console]", "[system]", "unknown key 'system.peripheral'", "known keys: abi"),
    (BOARD, 'soc = "stm32u575"', 'soc = "stm32u57"', "refers to 'stm32u57'", "did you mean 'stm32u575'?"),
    (BOARD, '["stlink-drive", "pyocd"]', '["pyodc"]', "'runners' names 'pyodc'", "did you mean 'pyocd'?"),
    (BOARD, '"tflm"]', '"tfml"]', "'runtimes' names 'tfml'", "did you mean 'tflm'?"),
    (BOARD, 'name = "nucleo-u575zi-q"', 'name = "nucleo"', "name is 'nucleo' but the file is called", "rename"),
    (BOARD, 'method = "swd"', 'method = "swdd"', "'flash_method[1].method' must be one of", "did you mean 'swd'?"),
    (BOARD, 'title = "STLINK-V3E"\n', "", "'usb[0].title' is missing", "add title"),
    (BOARD, "vendor_id = 0x0483", 'vendor_id = "0483"', "'usb[0].vendor_id' must be an integer, not '0483'", ""),
    (BOARD, "[console]", "[console", "is not valid TOML", ""),
    (BOARD, 'url = "', 'kind = "phone"\nurl = "', "'system' is missing", "add [system]"),
    (BOARD, 'url = "', 'kind = "phones"\nurl = "', "'kind' must be one of", "did you mean 'phone'?"),
    (
        BOARD,
        "[power]",
        '[[reserved]]\nmemory = "flesh"\nsize_bytes = 1\nat = "start"\nby = "x"\nsource = "y"\n[power]',
        "'reserved' names the memory 'flesh'",
        "did you mean 'flash'?",
    ),
    (
        BOARD,
        "[power]",
        '[[reserved]]\nmemory = "flash"\nsize_bytes = 2097152\nat = "end"\nby = "x"\nsource = "y"\n[power]',
        "2097152 bytes are reserved of the 2097152 of 'flash'",
        "",
    ),
    (CHIP, "base = 0x2000_0000", "base = 0x0810_0000", "memories 'flash' and 'sram' overlap", ""),
    (CHIP, "size_bytes = 786_432", "size_bytes = 0", "memory 'sram' has no valid place or size", ""),
    (
        ("socs", "stm32l4r5"),
        'model = "stm32-lpuart"',
        'model = "stm32-lpuartt"',
        "'USART2' asks for the model 'stm32-lpuartt', which edgeq doesn't have",
        "did you mean 'stm32-lpuart'?",
    ),
    (CHIP, 'name = "sram"', 'name = "flash"', "two memories are called 'flash'", ""),
    (CHIP, '["code", "weights"]', '["code", "weights", "arena"]', "memory 'flash' is flash and can't hold arena", ""),
    (CHIP, '["arena", "data", "stack"]', '["arena", "date"]', "'memory[1].holds[1]' must be one of", "mean 'data'?"),
    (CHIP, "wait_states = 4\n", "wait_state = 4\n", "unknown key 'memory[0].wait_state'", "mean 'wait_states'?"),
    (CHIP, 'core = "cortex-m33"', 'core = "cortex-m333"', "refers to 'cortex-m333'", "did you mean 'cortex-m33'?"),
    (LINUX, "app_ram_bytes = 805_306_368", "app_ram_bytes = 2_000_000_000", "app_ram_bytes is 2000000000", ""),
    (
        LINUX,
        "[[delegate]]",
        '[console]\nperipheral = "UART0"\nbaud = 1\nsource = "x"\n[[delegate]]',
        "'console' is",
        "",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "what", "next_step"), WRONG, ids=[w[3] for w in WRONG])
def test_what_is_wrong_is_said(
    tmp_path: Path, file: tuple[str, str], old: str, new: str, what: str, next_step: str
) -> None:
    path = changed(tmp_path, *file, old, new)
    with pytest.raises(TargetFileError, match=re.escape(what)) as caught:
        target.validate_file(path)
    assert caught.value.where == str(path)
    assert next_step in caught.value.next_step
    assert caught.value.exit_code == 3
    key = re.match(r"(?:unknown key )?'(\S+)' (?:must|is missing)", what)
    if key:
        assert caught.value.facts["key"] == key[1]


def test_no_memory_for_a_use(tmp_path: Path) -> None:
    path = changed(tmp_path, *CHIP, '["arena", "data", "stack"]', '["arena", "data"]')
    changed(tmp_path, *BOARD, "[power]", "[power]")
    target.validate_file(path)  # another region may be on the board
    with pytest.raises(TargetFileError, match="no memory of stm32u575 may hold 'stack'"):
        target.load("nucleo-u575zi-q", tmp_path)


def test_the_console_must_exist_where_peripherals_are_listed(tmp_path: Path) -> None:
    path = changed(tmp_path, "boards", "nucleo-l4r5zi", 'peripheral = "LPUART1"', 'peripheral = "LPUART2"')
    with pytest.raises(TargetFileError, match="'LPUART2' is not a peripheral of stm32l4r5") as caught:
        target.validate_file(path)
    assert "LPUART1" in caught.value.next_step


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TargetFileError, match="can't be read: No such file"):
        target.validate_file(tmp_path / "nothing.toml")


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"name = 1", b"[[[", b'name = "x"\nsoc = []\n'])
def test_junk_is_refused_and_never_a_traceback(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(junk)
    with pytest.raises(TargetFileError) as caught:
        target.validate_file(path)
    assert str(path) in str(caught.value)


def test_a_folder_laid_out_like_the_projects(tmp_path: Path) -> None:
    changed(tmp_path, *CHIP, "size_bytes = 786_432", "size_bytes = 196_608")
    changed(tmp_path, *BOARD, "160_000_000", "80_000_000")
    mine = target.load("nucleo-u575zi-q", tmp_path)
    assert (mine.clock_hz, mine.ram_bytes) == (80_000_000, 196_608)
    assert target.load("nucleo-u575zi-q").clock_hz == 160_000_000


def test_a_flat_folder_with_a_chip_beside_it(tmp_path: Path) -> None:
    changed(tmp_path, *CHIP, "size_bytes = 786_432", "size_bytes = 196_608").rename(tmp_path / "stm32u5.toml")
    chip = (tmp_path / "stm32u5.toml").read_text().replace('name = "stm32u575"', 'name = "my-chip"')
    (tmp_path / "stm32u5.toml").unlink()
    (tmp_path / "socs" / "my-chip.toml").write_text(chip)
    board = (SHIPPED / "boards" / "nucleo-u575zi-q.toml").read_text()
    board = board.replace('name = "nucleo-u575zi-q"', 'name = "mine"').replace('soc = "stm32u575"', 'soc = "my-chip"')
    (tmp_path / "mine.toml").write_text(board)
    assert "mine" in target.names(tmp_path) and "mine" not in target.names()
    assert target.load("mine", tmp_path).ram_bytes == 196_608
    assert target.validate_file(tmp_path / "mine.toml", tmp_path) == ("board", "mine")


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no target 'nucleo-h743zi'") as caught:
        target.load("nucleo-h743zi")
    assert "nucleo-h743zi2" in caught.value.next_step
