"""Runners: the roads by which an image gets onto a device. One file each, with declared capabilities.

contract      what a runner is, and the products: Device, FlashResult
image         an image, read from a file and checked against the target before anything is touched
select        which runner, which device; and what was looked for when there is none
port, ports   opening a serial port; serial ports by the target's USB ids
attached      what is plugged in (usb), what it is called (names), what is in the way; udev rules (udev)
drives        drives that take a file; sectors: which pages of a flash an image needs
virtual, pyocd, stlink_drive, daplink_drive, uf2, dfu, stm32_uart, bossac      the roads
"""
