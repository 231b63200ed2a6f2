"""Fixtures from tests/toolchain_fixtures.py."""

from toolchain_fixtures import board, cache, toolchain

__all__ = ["board", "cache", "toolchain"]
