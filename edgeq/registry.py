"""Backends by name: each is one file and one row here, imported when it is used and not before."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeq.errors import MissingDependencyError, UsageError


@dataclass(frozen=True)
class Row:
    """One backend.

    Attributes:
        entry: `module:object`, imported on use.
        extra: the extra of edgeq that installs what it needs ("" = nothing).
        packages: the import names that must be there for it to work.
        summary: one line for `edgeq doctor` and the documentation.
    """

    entry: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    summary: str = ""


IMPORTERS: Mapping[str, Row] = {
    "tflite": Row("edgeq.importers.tflite:load", summary="float .tflite files"),
    "keras": Row("edgeq.importers.keras:load", "convert", ("tensorflow",), ".keras and .h5 files, Keras objects"),
    "savedmodel": Row("edgeq.importers.savedmodel:load", "convert", ("tensorflow",), "TensorFlow SavedModel folders"),
    # These two look for their packages themselves: they may be in an environment of their own.
    "onnx": Row("edgeq.importers.onnx:load", "onnx", summary=".onnx models"),
    "torch": Row("edgeq.importers.torch:load", "torch", summary=".pt2 programs, torch.nn.Module objects"),
}

CALIBRATIONS: Mapping[str, Row] = {
    "min-max": Row("edgeq.quantize.methods.min_max:METHOD", summary="the true minimum and maximum"),
    "sample-percentile": Row(
        "edgeq.quantize.methods.sample_percentile:METHOD", summary="the 90th percentile of the samples' own extremes"
    ),
    "percentile": Row("edgeq.quantize.methods.percentile:METHOD", summary="the 99.99th percentile of all values"),
    "mse": Row("edgeq.quantize.methods.mse:METHOD", summary="the least mean squared error"),
    "entropy": Row("edgeq.quantize.methods.entropy:METHOD", summary="the least loss of information, with a guard"),
    "moving-average": Row(
        "edgeq.quantize.methods.moving_average:METHOD", summary="a moving average of the samples' extremes"
    ),
}

REPAIRS: Mapping[str, Row] = {
    "batch-norm": Row("edgeq.quantize.repairs.batch_norm:METHOD", summary="MUL and ADD folded into the layer beside"),
    "cle": Row("edgeq.quantize.repairs.equalize:CLE", summary="channels rescaled by the weights around them"),
    "activation-equalization": Row(
        "edgeq.quantize.repairs.equalize:BY_ACTIVATION", summary="channels rescaled by the values they take"
    ),
    "weight-clipping": Row("edgeq.quantize.repairs.clipping:METHOD", summary="the widest weights clipped"),
    "adaround": Row("edgeq.quantize.repairs.rounding:METHOD", summary="weights rounded as the layer's output wants it"),
    "bias-correction": Row(
        "edgeq.quantize.repairs.bias_correction:METHOD", summary="the mean error of rounded weights out of the bias"
    ),
}

TOOLCHAINS: Mapping[str, Row] = {
    "zig": Row("edgeq.toolchains.zig:TOOLCHAIN", "build", ("ziglang", "elftools"), "zig cc, from PyPI"),
    "gcc": Row("edgeq.toolchains.arm_gcc:TOOLCHAIN", "build", ("elftools",), "arm-none-eabi-gcc, where on PATH"),
}

RUNNERS: Mapping[str, Row] = {
    "virtual": Row("edgeq.runners.virtual:RUNNER", "simulate", ("unicorn", "capstone", "serial"), "a virtual board"),
    "pyocd": Row("edgeq.runners.pyocd:RUNNER", "device", ("pyocd",), "SWD debug probes through pyOCD"),
    "stlink-drive": Row("edgeq.runners.stlink_drive:RUNNER", "", (), "the drive that an ST-Link shows"),
    "daplink-drive": Row("edgeq.runners.daplink_drive:RUNNER", "", (), "the drive that a DAPLink probe shows"),
    "uf2": Row("edgeq.runners.uf2:RUNNER", "", (), "a bootloader's drive that takes UF2 files"),
    "dfu": Row("edgeq.runners.dfu:RUNNER", "", (), "USB DFU through dfu-util"),
    "stm32-uart": Row("edgeq.runners.stm32_uart:RUNNER", "device", ("serial",), "STM32 boot ROM over a UART"),
    "bossac": Row("edgeq.runners.bossac:RUNNER", "device", ("serial",), "Arduino's touch at 1200 baud and bossac"),
}

CYCLE_MODELS: Mapping[str, Row] = {
    "cortex-m4": Row("edgeq.simulator.cycles.cortex_m4:MODEL", "simulate", ("capstone",), "Arm Cortex-M4"),
    "cortex-m0plus": Row("edgeq.simulator.cycles.cortex_m0plus:MODEL", "simulate", ("capstone",), "Arm Cortex-M0+"),
}

_DEVICES = "edgeq.simulator.peripherals"
PERIPHERALS: Mapping[str, Row] = {
    "memory": Row(f"{_DEVICES}.device:Device", summary="registers that keep what is written, and do nothing"),
    "read-only": Row(f"{_DEVICES}.device:ReadOnly", summary="registers with factory values"),
    "stm32l4-rcc": Row(f"{_DEVICES}.stm32l4_rcc:Rcc", summary="clocks of the STM32L4 and L4+"),
    "stm32l4-pwr": Row(f"{_DEVICES}.stm32l4_pwr:Pwr", summary="power control of the STM32L4 and L4+"),
    "stm32l4-flash": Row(f"{_DEVICES}.stm32l4_flash:Flash", summary="flash controller of the STM32L4+"),
    "stm32f4-rcc": Row(f"{_DEVICES}.stm32f4_rcc:Rcc", summary="clocks of the STM32F405 to F439"),
    "stm32f4-pwr": Row(f"{_DEVICES}.stm32f4_pwr:Pwr", summary="power control of the STM32F42x and F43x"),
    "stm32f4-flash": Row(f"{_DEVICES}.stm32f4_flash:Flash", summary="flash controller of the STM32F42x and F43x"),
    "stm32-usart": Row(f"{_DEVICES}.stm32_usart:Usart", summary="USART of the older STM32, without FIFO"),
    "stm32-lpuart": Row(f"{_DEVICES}.stm32_lpuart:Lpuart", summary="LPUART and USART with FIFO of the newer STM32"),
    "stm32-timer": Row(f"{_DEVICES}.stm32_timer:Timer", summary="timers of the STM32 on the first peripheral bus"),
    "rp2-block": Row(f"{_DEVICES}.rp2:Block", summary="registers of the RP2040 with their set and clear aliases"),
    "rp2-system": Row(f"{_DEVICES}.rp2_system:System", summary="clocks, resets, crystal and PLLs of the RP2040"),
    "rp2-timer": Row(f"{_DEVICES}.rp2:MicrosecondTimer", summary="microsecond timer and watchdog ticks of the RP2040"),
    "rp2-sio": Row(f"{_DEVICES}.rp2:Sio", summary="single-cycle I/O of the RP2040: its pins"),
    "rp2-ssi": Row(f"{_DEVICES}.rp2_flash:Ssi", summary="the RP2040's serial interface to its flash"),
    "pl011": Row(f"{_DEVICES}.pl011:Pl011", summary="Arm PrimeCell UART"),
    "stm32-gpio": Row(f"{_DEVICES}.stm32_gpio:Gpio", summary="ports of the STM32, one behind the other"),
    "nrf52-clock": Row(f"{_DEVICES}.nrf52_clock:Clock", summary="CLOCK, POWER and APPROTECT of the nRF52"),
    "nrf52-gpio": Row(f"{_DEVICES}.nrf52_gpio:Gpio", summary="P0 and P1 of the nRF52840"),
    "nrf52-nvmc": Row(f"{_DEVICES}.nrf52_nvmc:Nvmc", summary="flash controller of the nRF52840"),
    "nrf52-timer": Row(f"{_DEVICES}.nrf52_timer:Timer", summary="timers of the nRF52"),
    "nrf52-uarte": Row(f"{_DEVICES}.nrf52_uarte:Uarte", summary="UARTE of the nRF52, with its DMA"),
}

HOSTS: Mapping[str, Row] = {
    "ssh": Row("edgeq.runners.hosts.ssh:connect", "remote", ("asyncssh",), "Linux computers over SSH"),
    "adb": Row("edgeq.runners.hosts.adb:connect", "remote", ("adbutils",), "Android phones over adb"),
}

_COMPUTER = "edgeq.measure.computer.engines"
ENGINES: Mapping[str, Row] = {
    "edgeq": Row(f"{_COMPUTER}.own:run", "build", ("ziglang",), "edgeq's own C as a static program"),
    "litert-xnnpack": Row(f"{_COMPUTER}.litert:XNNPACK", summary="LiteRT with XNNPACK, installed on the device"),
    "litert": Row(f"{_COMPUTER}.litert:PLAIN", summary="LiteRT without delegates, installed on the device"),
    "tflite-runtime-2.14": Row(f"{_COMPUTER}.litert:TFLITE_2_14", summary="tflite-runtime, installed on the device"),
    "benchmark-model": Row(f"{_COMPUTER}.benchmark_model:run", summary="TensorFlow's benchmark_model, given by path"),
}

_METERS = "edgeq.measure.energy.meters"
METERS: Mapping[str, Row] = {
    "ppk2": Row(f"{_METERS}.ppk2:open_ppk2", "device", ("serial",), "Nordic Power Profiler Kit II"),
    "joulescope": Row(
        f"{_METERS}.joulescope:open_joulescope", "joulescope", ("pyjoulescope_driver",), "Joulescope JS220, JS320"
    ),
    "otii": Row(f"{_METERS}.otii:open_otii", "otii", ("otii_tcp_client",), "Qoitech Otii Ace, Otii Arc"),
    "lpm01a": Row(f"{_METERS}.power_shield:open_lpm01a", "device", ("serial",), "ST X-NUCLEO-LPM01A"),
    "stlink-v3pwr": Row(f"{_METERS}.power_shield:open_stlink_v3pwr", "device", ("serial",), "ST STLINK-V3PWR"),
}

EXPORTS: Mapping[str, Row] = {
    "c": Row("edgeq.exports.c_library:make", summary="a plain C library with a Makefile"),
    "cmake": Row("edgeq.exports.cmake:make", summary="a CMake project"),
    "arduino": Row("edgeq.exports.arduino:make", summary="an Arduino library"),
    "platformio": Row("edgeq.exports.platformio:make", summary="a PlatformIO library"),
    "zephyr": Row("edgeq.exports.zephyr:make", summary="a Zephyr module"),
    "esp-idf": Row("edgeq.exports.esp_idf:make", summary="an ESP-IDF component"),
    "cmsis-pack": Row("edgeq.exports.cmsis_pack:make", summary="a CMSIS-Pack"),
    "tflm": Row("edgeq.exports.tflm:make", summary="source files for TensorFlow Lite Micro"),
}

PLOTTING = Row("", "plot", ("matplotlib",), "pictures")


def load(table: Mapping[str, Row], name: str, kind: str) -> Any:
    """Import the backend `name` of `table`.

    Raises:
        UsageError: no such backend; the message lists those that exist.
        MissingDependencyError: what it needs is not installed; the message says which extra does.
    """
    if name not in table:
        raise UsageError(f"there is no {kind} '{name}'", next_step=f"choose one of: {', '.join(table)}", name=name)
    row = table[name]
    require(row, f"the {kind} '{name}'")
    module, _, attribute = row.entry.partition(":")
    return getattr(importlib.import_module(module), attribute)


def missing(row: Row) -> tuple[str, ...]:
    """The packages of `row` that are not installed (looked for, not imported)."""
    return tuple(package for package in row.packages if not installed(package))


def installed(package: str) -> bool:
    """Whether `import package` would find something; nothing is imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def require(row: Row, user: str) -> None:
    """Raise MissingDependencyError when a package of `row` is absent."""
    absent = missing(row)
    if absent:
        raise MissingDependencyError(
            f"{user} needs {', '.join(absent)}",
            next_step=f"pip install 'edgeq[{row.extra}]'" if row.extra else f"pip install {' '.join(absent)}",
            packages=list(absent),
            extra=row.extra,
        )
