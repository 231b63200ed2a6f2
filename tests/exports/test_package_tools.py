"""Packages in the hands of the ecosystems' own tools: from PyPI, installed for this alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from package_tools import Exported, run

pytestmark = pytest.mark.slow
TOOLS = ("platformio>=6.1", "idf-component-manager>=2.0", "kconfiglib>=14.1", "pyyaml>=6")
# PlatformIO asks the internet for SPDX's list; what is looked up in it here is one identifier.
PIO = """
from platformio.package.manifest.schema import ManifestSchema
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "Apache-2.0"}]})
from platformio.__main__ import main
raise SystemExit(main())
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder, *TOOLS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    if done.returncode != 0:
        pytest.skip(f"{', '.join(TOOLS)} can't be installed here: {done.stderr.strip()[-200:]}")
    return folder


def python(tools: Path, *arguments: str | Path, folder: Path, code: int = 0) -> str:
    """What a tool says, run by this interpreter and with a home of its own."""
    own = {"PYTHONPATH": str(tools), "HOME": str(folder), "PLATFORMIO_CORE_DIR": str(folder / ".pio")}
    return run([sys.executable, *arguments], folder, code, **own, PLATFORMIO_SETTING_ENABLE_TELEMETRY="no")


def test_platformio_packs_it(exported: Exported, tools: Path, tmp_path: Path) -> None:
    package = exported("platformio", core="cortex-m4", with_portable=True, version="1.2.3")
    python(tools, "-c", PIO, "pkg", "pack", package, "-o", tmp_path / "out.tar.gz", folder=tmp_path)
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        held = {name.removeprefix("./") for name in archive.getnames()}
    assert {"library.json", "include/vision.h", "src/vision_dsp.c", "examples/run_sample/src/main.c"} <= held
    assert "src/kernels/pointwise_conv_2d_paired_s8_dsp.c" in held


def test_platformio_refuses_a_damaged_manifest(exported: Exported, tools: Path, tmp_path: Path) -> None:
    package = tmp_path / "vision"
    shutil.copytree(exported("platformio"), package)
    text = (package / "library.json").read_text()
    (package / "library.json").write_text(text.replace("Apache-2.0", "Apache-9"))
    said = python(tools, "-c", PIO, "pkg", "pack", package, "-o", tmp_path / "o.tar.gz", folder=tmp_path, code=1)
    assert "license" in said


def test_espressifs_component_manager_takes_the_component(exported: Exported, tools: Path, tmp_path: Path) -> None:
    package = tmp_path / "vision"
    shutil.copytree(exported("esp-idf", author="Jane Doe <jane@example.com>", version="1.2.3"), package)
    compote = tools / "bin" / "compote"
    python(tools, compote, "manifest", "lint", package, folder=tmp_path)
    python(tools, compote, "component", "pack", "--name", "vision", folder=package)
    with tarfile.open(package / "dist" / "vision_1.2.3.tgz") as archive:
        held = {name.removeprefix("./") for name in archive.getnames()}
    assert {"idf_component.yml", "CMakeLists.txt", "include/vision.h", "src/vision.c", "LICENSE"} <= held
    (package / "idf_component.yml").write_text("version: one\n")
    python(tools, compote, "manifest", "lint", package, folder=tmp_path, code=1)


def test_zephyrs_kconfig_and_module_file(exported: Exported, tools: Path, tmp_path: Path) -> None:
    """Kconfig by the library that Zephyr's own scripts are made of; module.yml by the keys that they allow."""
    package = exported("zephyr")
    read = """
import sys, kconfiglib, yaml
package = sys.argv[1]
found = kconfiglib.Kconfig(package + "/zephyr/Kconfig", warn_to_stderr=False)
assert found.syms["EDGEQ_VISION"].str_value == "n"
found.load_config(package + "/samples/run_sample/prj.conf")
assert found.syms["EDGEQ_VISION"].str_value == "y", found.warnings
assert all("symbol MAIN_STACK_SIZE" in warning for warning in found.warnings), found.warnings  # Zephyr's own
module = yaml.safe_load(open(package + "/zephyr/module.yml"))
assert module == {"name": "vision", "build": {"cmake": "zephyr", "kconfig": "zephyr/Kconfig"}, "samples": ["samples"]}
sample = yaml.safe_load(open(package + "/samples/run_sample/sample.yaml"))
assert list(sample["tests"]) == ["edgeq.vision.run_sample"]
print(sample["tests"]["edgeq.vision.run_sample"]["harness_config"]["regex"])
"""
    assert "vision: OK" in python(tools, "-c", read, package, folder=tmp_path)
