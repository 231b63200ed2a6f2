"""Fixtures from package_tools.py."""

from package_tools import cache, exported, host_library

__all__ = ["cache", "exported", "host_library"]
