"""Each format as its own build system takes it: the real one where it is installed, else a stand-in."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from package_tools import STRICT, Exported, needs, run, sources

from edgeq import registry, resources

HERE = Path(__file__).parent
OWN = [name for name in registry.EXPORTS if name != "tflm"]
needs_gcc = needs("gcc")
needs_cmake = needs("cmake")


def copied(folder: Path, to: Path) -> Path:
    """A package where a test may write."""
    return Path(shutil.copytree(folder, to / folder.name))


@pytest.mark.parametrize("format", OWN)
def test_every_format_has_the_same_c_a_licence_and_a_readme(exported: Exported, format: str) -> None:
    folder, plain = exported(format), exported("c")
    for path in (*sources(plain), *plain.glob("src/kernels/*")):
        assert (folder / path.relative_to(plain)).read_bytes() == path.read_bytes()
    header = next(folder.glob("*/vision.h"))
    assert header.read_bytes() == (plain / "include" / "vision.h").read_bytes()
    assert (folder / "LICENSE").read_bytes() == (HERE.parents[1] / "LICENSE").read_bytes()
    readme = (folder / "README.md").read_text()
    assert "| output 0 | scores | int8 | [1, 6] | 6 | 0.300000012 × (q − 4) |" in readme
    assert "vision_invoke(arena);" in readme
    listed = json.loads((folder / "edgeq-export.json").read_text())["files"]
    there = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    assert sorted(there) == sorted([*listed, "edgeq-export.json"])


def test_the_licence_that_is_handed_out_is_the_projects() -> None:
    handed = resources.folder("firmware_templates") / "LICENSE"
    assert handed.read_bytes() == (HERE.parents[1] / "LICENSE").read_bytes()


@needs_gcc
@needs("make")
def test_c_is_made_checked_and_installed(exported: Exported, tmp_path: Path) -> None:
    folder = copied(exported("c"), tmp_path)
    said = run(["make", "-j2", "check", "CFLAGS=-O1 -Werror"], folder)
    assert "vision: OK" in said
    run(["make", "install", "PREFIX=/opt", f"DESTDIR={tmp_path / 'root'}"], folder)
    (tmp_path / "app.c").write_text('#include "vision.h"\nint main(void) { return VISION_LAYER_COUNT == 6 ? 0 : 1; }\n')
    opt = tmp_path / "root" / "opt"
    run(["gcc", f"-I{opt / 'include'}", "app.c", f"-L{opt / 'lib'}", "-lvision", "-o", "app"], tmp_path)
    run([tmp_path / "app"])
    assert run(["make", "-q"], folder) == ""  # nothing is left to do
    run(["make", "clean"], folder)
    assert not (folder / "build").exists()


@needs_gcc
@needs_cmake
def test_cmake_builds_tests_installs_and_is_found(exported: Exported, tmp_path: Path) -> None:
    """With a core's kernels too: their assembly files need another language, and are empty for this computer."""
    package = exported("cmake", core="cortex-m4", with_portable=True)
    flags = "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"
    run(["cmake", "-S", package, "-B", tmp_path / "build", flags])
    run(["cmake", "--build", tmp_path / "build", "-j2"])
    assert "100% tests passed, 0 tests failed out of 1" in run(["ctest", "--test-dir", tmp_path / "build"])
    run(["cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "root"])
    app = tmp_path / "app"
    app.mkdir()
    (app / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\nfind_package(vision 1.0 REQUIRED)\n"
        f"add_executable(app {package / 'example' / 'main.c'})\ntarget_link_libraries(app PRIVATE vision::vision)\n"
    )
    run(["cmake", "-S", app, "-B", app / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'root'}"])
    run(["cmake", "--build", app / "build"])
    assert run([app / "build" / "app"]).endswith("vision: OK\n")


@needs_gcc
@needs_cmake
def test_cmake_takes_it_as_a_folder_of_a_project(exported: Exported, tmp_path: Path) -> None:
    package = exported("cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\n"
        f"add_subdirectory({package} vision)\nadd_executable(app {package / 'example' / 'main.c'})\n"
        "target_link_libraries(app PRIVATE vision::vision)\n"
    )
    run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"])
    run(["cmake", "--build", tmp_path / "build"])
    assert run([tmp_path / "build" / "app"]).endswith("vision: OK\n")
    assert not (tmp_path / "build" / "vision" / "vision_example").exists()  # the example is for itself


ARDUINO_CATEGORIES = {"Display", "Communication", "Sensors", "Device Control", "Timing", "Data Storage"} | {
    "Signal Input/Output",
    "Data Processing",
    "Other",
}


def test_arduino_keeps_the_specification(exported: Exported) -> None:
    """The rules of Arduino's library specification 2.2, and those of arduino-lint's strict mode, that apply here."""
    folder = exported("arduino", author="Jane Doe <jane@example.com>", version="2.10.3")
    lines = (folder / "library.properties").read_text().splitlines()
    assert all("=" in line for line in lines)
    told = dict(line.split("=", 1) for line in lines)
    assert len(told) == len(lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(told) and all(told[key] for key in required)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}", told["name"])
    assert "arduino" not in told["name"].lower() and "library" not in told["name"].lower()
    assert told["version"] == "2.10.3" and told["author"] == "Jane Doe <jane@example.com>"
    assert told["category"] in ARDUINO_CATEGORIES
    assert told["architectures"] == "*"
    assert not told["paragraph"].startswith(told["sentence"])
    assert [(folder / "src" / header).is_file() for header in told["includes"].split(",")] == [True]
    assert (folder / "src" / f"{told['name']}.h").is_file()
    assert not (folder / "utility").exists() and not list(folder.glob("*.ino"))
    sketches = list(folder.rglob("*.ino"))
    assert [path.relative_to(folder).as_posix() for path in sketches] == ["examples/RunSample/RunSample.ino"]
    assert all(path.stem == path.parent.name for path in sketches)


@needs("g++")
@pytest.mark.parametrize("network", ["vision", "recurrent", "floats"])
def test_arduinos_sketch_runs_on_a_stand_in_for_the_core(
    exported: Exported, host_library: Callable[[str], Path], tmp_path: Path, network: str
) -> None:
    folder = exported("arduino", network)
    sketch = folder / "examples" / "RunSample" / "RunSample.ino"
    # As the Arduino builder makes C++ of a sketch: its header first. Libraries' src/ is the include path.
    (tmp_path / "sketch.cpp").write_text(f'#include <Arduino.h>\n#line 1 "{sketch}"\n{sketch.read_text()}')
    stub = HERE / "stubs" / "arduino"
    flags = ["-std=gnu++11", "-Wall", "-Wextra", "-Werror", f"-I{stub}", f"-I{folder / 'src'}", f"-I{sketch.parent}"]
    run(["g++", *flags, "sketch.cpp", stub / "core.cpp", host_library(network), "-o", "sketch"], tmp_path)
    assert run([tmp_path / "sketch"]).endswith(f"{network}: OK\n")


@needs_gcc
def test_arduinos_c_needs_no_other_include_path_than_src(exported: Exported, tmp_path: Path) -> None:
    folder = exported("arduino", core="cortex-m4", with_portable=True)
    run(["gcc", *STRICT, "-I", folder / "src", "-c", *sources(folder)], tmp_path)


def test_platformios_manifest(exported: Exported) -> None:
    folder = exported("platformio", version="1.2.3")
    told = json.loads((folder / "library.json").read_text())
    assert (told["name"], told["version"], told["license"]) == ("vision", "1.2.3", "Apache-2.0")
    assert [(folder / "include" / header).is_file() for header in told["headers"]] == [True]


@needs_gcc
@needs_cmake
@pytest.mark.parametrize(
    ("format", "sample", "variable", "program"),
    [
        ("zephyr", "samples/run_sample", "-DZephyr_DIR={}/zephyr", "app"),
        ("esp-idf", "examples/run_sample", "", "run_sample"),
    ],
)
def test_the_cmake_files_of_zephyr_and_esp_idf_with_stand_ins_for_their_functions(
    exported: Exported, tmp_path: Path, format: str, sample: str, variable: str, program: str
) -> None:
    """CMake is real and so is the program; of the SDK's own functions there is what tests/exports/stubs has."""
    folder = exported(format)
    stubs = HERE / "stubs"
    more = [variable.format(stubs)] if variable else []
    flags = "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"
    run(["cmake", "-S", folder / sample, "-B", tmp_path, flags, *more], IDF_PATH=str(stubs / "esp_idf"))
    run(["cmake", "--build", tmp_path, "-j2"])
    assert run([tmp_path / program]).endswith("vision: OK\n")


def test_zephyrs_module_is_off_unless_configured(exported: Exported) -> None:
    folder = exported("zephyr", "floats")
    assert "config EDGEQ_FLOATS\n\tbool" in (folder / "zephyr" / "Kconfig").read_text()
    assert (folder / "zephyr" / "CMakeLists.txt").read_text().startswith("if(CONFIG_EDGEQ_FLOATS)\n")
    configured = (folder / "samples" / "run_sample" / "prj.conf").read_text().split()
    assert configured == ["CONFIG_EDGEQ_FLOATS=y", "CONFIG_MAIN_STACK_SIZE=2048", "CONFIG_CBPRINTF_FP_SUPPORT=y"]


def pdsc_of(folder: Path) -> ElementTree.Element:
    (path,) = folder.glob("*.pdsc")
    return ElementTree.parse(path).getroot()


def test_the_pack_holds_what_its_description_names(exported: Exported) -> None:
    folder = exported("cmsis-pack", author="Acme & Sons", version="1.0.7")
    root = pdsc_of(folder)
    assert (folder / "Acme_Sons.vision.pdsc").is_file()
    # PACK.xsd wants these in this order.
    assert [child.tag for child in root] == [
        "vendor", "name", "description", "url", "license", "releases", "keywords", "components",
    ]  # fmt: skip
    assert [root.findtext(tag) for tag in ("vendor", "name")] == ["Acme_Sons", "vision"]
    assert [release.get("version") for release in root.iter("release")] == ["1.0.7"]
    archive = zipfile.ZipFile(folder / "Acme_Sons.vision.1.0.7.pack")
    held = set(archive.namelist())
    assert "Acme_Sons.vision.pdsc" in held and not any(name.endswith(".pack") for name in held)
    for file in root.iter("file"):
        name = str(file.get("name"))
        assert any(h.startswith(name) for h in held) if name.endswith("/") else name in held, name
    compiled = {f.get("name") for f in root.iter("file") if f.get("category") in ("sourceC", "sourceAsm")}
    assert compiled == {p.relative_to(folder).as_posix() for p in sources(folder)} | {"example/main.c"}
    for name in held:
        assert archive.read(name) == (folder / name).read_bytes()


def test_a_pack_for_a_core_is_for_such_cores_only(exported: Exported) -> None:
    root = pdsc_of(exported("cmsis-pack", core="cortex-m4"))
    (component,) = root.iter("component")
    assert component.get("condition") == "core"
    cores = {accept.get("Dcore") for accept in root.iter("accept")}
    assert {"Cortex-M4", "Cortex-M33"} <= cores and "Cortex-M0+" not in cores
    assert {f.get("category") for f in root.iter("file")} >= {"sourceC", "sourceAsm", "header", "include"}
    both = pdsc_of(exported("cmsis-pack", core="cortex-m4", with_portable=True))
    assert [c.get("condition") for c in both.iter("component")] == [None]


@pytest.mark.skipif(importlib.util.find_spec("pyocd") is None, reason="the extra 'device' is not installed")
def test_pack_managers_read_the_pack(exported: Exported, tmp_path: Path) -> None:
    """cmsis-pack-manager (Rust, what pyOCD and Keil Studio's tools use) takes the description, pyOCD the archive."""
    import cmsis_pack_manager
    from pyocd.target.pack.cmsis_pack import CmsisPack

    folder = exported("cmsis-pack")
    (pdsc,), (pack,) = folder.glob("*.pdsc"), folder.glob("*.pack")
    cache = cmsis_pack_manager.Cache(True, True, json_path=str(tmp_path), data_path=str(tmp_path))
    cache.add_pack_from_path(str(pdsc))
    assert cache.index == {}  # it brings software, no devices
    read = CmsisPack(str(pack))
    assert read.pdsc.pack_name == "vision"
    assert list(read.devices) == []
