"""Firmware from a SourceTree: zig cc, arm-none-eabi-gcc."""
