"""Names, versions and addresses that every package manager takes."""

from __future__ import annotations

import re

from edgeq.errors import UsageError
from edgeq.exports.contract import Package
from edgeq.runtimes import identifier

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_C_AND_CPP = """\
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const const_cast
    consteval constexpr constinit continue co_await co_return co_yield decltype default delete do double dynamic_cast
    else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return short
    signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
    typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq"""
"""Of C23 and C++20."""
_TAKEN = """\
    arduino assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar
    wctype main sample kernels edgeq
    all test clean help install package app zephyr kernel"""
"""Headers that this one would hide (C11's, Arduino.h, an export's own), and targets of make, CMake and Zephyr."""
_WORDS = frozenset((_C_AND_CPP + "\n" + _TAKEN).split())


def check_package(package: Package) -> None:
    """Raise UsageError for what a compiler or a package manager would stumble over."""
    name = package.name
    if not usable(name):
        if not _NAME.fullmatch(name):
            why = "is no C identifier of 1 to 32 letters, digits and underscores that starts with a letter"
        else:
            why = (
                "is a word of C or C++"
                if name.lower() in _C_AND_CPP.split()
                else "is taken, by a header or by a build system"
            )
        raise UsageError(f"the name '{name}' {why}", next_step=f"--name {_suggestion(name)}", name=name)
    if not _VERSION.fullmatch(package.version):
        raise UsageError(
            f"'{package.version}' is not a version of three numbers",
            next_step="--package-version 1.0.0",
            version=package.version,
        )
    if not package.author.strip() or not package.author.isprintable() or set(package.author) & set('"\\'):
        raise UsageError("the author is empty, or has characters that break files", next_step='--author "Jane Doe"')
    if not re.fullmatch(r"https?://[^\s\"'<>\\]+", package.url):
        raise UsageError(f"'{package.url}' is no address", next_step="--url https://…", url=package.url)


def usable(name: str) -> bool:
    """Whether a package can be called so."""
    return bool(_NAME.fullmatch(name)) and name.lower() not in _WORDS


def default_name(model: str) -> str:
    """The package's name when the user gives none: from the model file's stem."""
    return _suggestion(model)


def _suggestion(name: str) -> str:
    made = identifier(name)[:32].rstrip("_")
    return made if usable(made) else f"{made[:25].rstrip('_')}_model"
