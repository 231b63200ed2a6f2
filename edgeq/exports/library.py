"""Library: what all formats of edgeq's own engine carry: the public header, the sources, the example's samples.

The C is that of `edgeq build`, under the package's name: functions, types and macros start with it, the kernels' too,
so that several exports go into one program. Kernels that need a feature of the core are compiled where the compiler
says that it has it, and are empty elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from edgeq import __version__, resources
from edgeq.check import require_runnable
from edgeq.codegen import Manifest, Names, manifest_of, model_files
from edgeq.exports.contract import Package, Request, SampleSet
from edgeq.kernels import Program
from edgeq.memory import MemoryPlan
from edgeq.selection import compile_model
from edgeq.target import Compiler, Core

PORTABLE = Core("portable", "any 32-bit core", "", (), Compiler("", "", ()), "")
CONDITIONS: Mapping[str, str] = {
    "thumb": "defined(__thumb__)",
    "armv6-m": "defined(__ARM_ARCH_6M__)",
    "thumb2": "defined(__thumb2__)",
    "dsp": "defined(__ARM_FEATURE_DSP)",
    "mve": "defined(__ARM_FEATURE_MVE)",
    "fpu": "defined(__ARM_FP)",
    "neon": "defined(__ARM_NEON)",
    "dotprod": "defined(__ARM_FEATURE_DOTPROD)",
    "i8mm": "defined(__ARM_FEATURE_MATMUL_INT8)",
    "fp16": "defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)",
}
"""A core's feature (Core.isa) → how compilers tell it: Arm C Language Extensions (IHI 0053D), chapter 5."""

_SMALLEST = b"""\
#include <stdint.h>
#if INTPTR_MAX < INT32_MAX
#error "this needs a core of 32 bits or more"
#endif
"""
_LICENCE = b"/* SPDX-License-Identifier: Apache-2.0 */\n"
_TOKEN = re.compile(rb'"(?:\\.|[^"\\\n])*"|\b(edgeq|EDGEQ)(_\w+)\b(?!\.(?:h|c|S|inc)\b)')
_FLOATS = re.compile(rb"\b(?:float|double)\b")
_NO_CONTRACTION = b"""\
/* A fused multiply-add rounds once where the reference rounds twice. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""
_STACK_NOTE = b"""
#if defined(__linux__) && defined(__ELF__)
  .section .note.GNU-stack, "", %progbits
#endif
"""


@dataclass(frozen=True)
class Variant:
    """The network for one kind of core.

    Attributes:
        suffix: of its files' names, "" where there is only one.
        features: what its kernels need of a core.
    """

    suffix: str
    program: Program
    plan: MemoryPlan
    manifest: Manifest

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Sorted."""
        every = (self.program, *self.program.lower.values())
        return tuple(sorted({f for program in every for step in program.steps for f in step.kernel.requires}))

    @property
    def exact(self) -> bool:
        """Whether every byte equals the reference's; else floats are a few units in the last place off."""
        return not any(step.kernel.exact and "float" in step.kernel.types for step in self.program.steps)


@dataclass(frozen=True)
class Library:
    """Attributes:
    headers: public ones, by file name.
    sources: relative path → contents; `NAME.c` and what is in kernels/.
    needs: in words, what a core must have; "" for any.
    core_title, core_flags: of the core whose kernels it has: its name, and what gcc is told.
    """

    package: Package
    variants: tuple[Variant, ...]
    headers: Mapping[str, bytes]
    sources: Mapping[str, bytes]
    samples: SampleSet
    needs: str
    core_title: str
    core_flags: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """Of the first variant; all have the same ends."""
        return self.variants[0].manifest

    @property
    def compiled(self) -> tuple[str, ...]:
        """The sources to compile or assemble, sorted."""
        return tuple(sorted(path for path in self.sources if path.endswith((".c", ".S"))))

    @property
    def assembly(self) -> bool:
        """Whether some of them are in assembly language."""
        return any(path.endswith(".S") for path in self.sources)

    @property
    def kernels(self) -> str:
        """Which kernels it has, in words."""
        if not any(v.features for v in self.variants):
            return "portable C"
        special = f"for {self.core_title} ({', '.join(self.variants[0].features)})"
        return f"{special}, and portable C" if len(self.variants) > 1 else special

    @property
    def arena_bytes(self) -> dict[str, int]:
        """By the condition under which a variant is compiled; by "" where there is one."""
        if len(self.variants) == 1:
            return {"": self.manifest.arena_bytes}
        return {variant.suffix: variant.manifest.arena_bytes for variant in self.variants}


def make_library(request: Request) -> Library:
    """Lower, plan and generate, once for each kind of core that was asked for.

    Raises:
        UnsupportedError: operators without a kernel (each is named with the reason), or ends of a type that can't be
            carried.
    """
    require_runnable(request.graph)
    variants = _variants(request)
    special = variants[0].features
    needs = " and ".join(feature.upper() for feature in special) if special and len(variants) == 1 else ""
    headers: dict[str, bytes] = {}
    sources: dict[str, bytes] = {}
    for variant in variants:
        name = request.package.name
        stem = name + variant.suffix
        made = model_files(variant.program, variant.plan, variant.manifest, Names(name, stem, sections=False))
        headers[f"{stem}.h"] = made.pop(f"{stem}.h")
        network = _renamed(made.pop(f"{stem}.c"), name)
        when = condition(special) if variant.features else f"!({condition(special)})" if special else ""
        sources[f"{stem}.c"] = _SMALLEST + _guarded(network, when, _refusal(name, needs) if needs else _empty(name))
        sources |= _kernels(made, variant, name)
    if len(variants) > 1:
        headers[f"{name}.h"] = _choice(request.package.name, variants)
    return Library(
        package=request.package,
        variants=variants,
        headers=headers,
        sources=sources,
        samples=request.samples(variants[0].manifest),
        needs=needs,
        core_title=(request.core or PORTABLE).title,
        core_flags=(request.core or PORTABLE).compiler.gcc_flags,
    )


def condition(features: tuple[str, ...]) -> str:
    """What the preprocessor is asked: whether the compiler's core has all of these."""
    return " && ".join(CONDITIONS[feature] for feature in features)


def licence() -> bytes:
    """The licence of the generated C and of the kernels."""
    return (resources.folder("firmware_templates") / "LICENSE").read_bytes()


def _variants(request: Request) -> tuple[Variant, ...]:
    first = _variant(request, request.core or PORTABLE, "")
    if not first.features or not request.with_portable:
        return (first,)
    suffix = f"_{first.features[-1]}"
    return (_variant(request, request.core or PORTABLE, suffix), _variant(request, PORTABLE, "_portable"))


def _variant(request: Request, core: Core, suffix: str) -> Variant:
    made = compile_model(request.graph, core, request.objective)
    return Variant(suffix, made.program, made.plan, manifest_of(made.program, made.plan))


def _kernels(made: Mapping[str, bytes], variant: Variant, name: str) -> dict[str, bytes]:
    """The kernels under the package's name, each beside the headers that it includes."""
    every = (variant.program, *variant.program.lower.values())
    steps = [step for program in every for step in program.steps]
    found = {}
    for path, data in made.items():
        kernels = [kernel for step in steps for kernel in step.kernels]
        users = [kernel for kernel in kernels if path.rpartition("/")[2] in {_file(s) for s in kernel.sources}]
        special = tuple(sorted({f for kernel in users for f in kernel.requires}))
        alone = special and all(kernel.requires for kernel in users)
        found[path] = kernel_file(path, data, condition(special) if alone else "", name)
    return found


def kernel_file(path: str, data: bytes, when: str, name: str) -> bytes:
    """A kernel's file under the package's name, empty unless the condition holds; it includes from its own folder."""
    text = _renamed(data.replace(b'#include "kernels/', b'#include "'), name)
    if path.endswith(".c") and _FLOATS.search(text):
        text = _NO_CONTRACTION + text
    if path.endswith(".S"):
        return _LICENCE + _guarded(text, when, "") + _STACK_NOTE
    return _LICENCE + _guarded(text, when, _empty(name))


def _file(source: str) -> str:
    return source.rpartition("/")[2]


def _renamed(text: bytes, name: str) -> bytes:
    """edgeq_add_s8 → NAME_edgeq_add_s8; names of files and strings stay."""
    small, capital = name.encode(), name.upper().encode()

    def new(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            return found[0]
        return (small if found[1] == b"edgeq" else capital) + b"_" + found[0]

    return _TOKEN.sub(new, text)


def _guarded(text: bytes, when: str, otherwise: str) -> bytes:
    """A file that is something else unless the condition holds."""
    if not when:
        return text
    other = f"#else\n{otherwise}\n" if otherwise else ""
    return f"#if {when}\n".encode() + text + f"{other}#endif\n".encode()


def _empty(name: str) -> str:
    """C wants at least one declaration in a file."""
    return f"typedef int {name}_edgeq_for_another_core;"


def _refusal(name: str, needs: str) -> str:
    """What a compiler says that isn't set to such a core."""
    return f'#error "{name} is for cores with {needs}: compile for one, or export it again --with-portable"'


def _choice(name: str, variants: tuple[Variant, ...]) -> bytes:
    special, portable = variants
    return (
        f"/* {name}, exported by edgeq {__version__}: the header for the core that this is compiled for. */\n"
        f"#if {condition(special.features)}\n"
        f'#include "{name}{special.suffix}.h"\n'
        "#else\n"
        f'#include "{name}{portable.suffix}.h"\n'
        "#endif\n"
    ).encode()
