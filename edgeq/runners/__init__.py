"""Runners: the roads by which an image gets onto a device. One file each, with declared capabilities.

contract      what a runner is, and the products: Device, FlashResult
image         an image, read from a file and checked against the target before anything is touched
select        which runner, which device; and what was looked for when there is none
ports         serial ports by the target's USB ids
virtual, pyocd, stlink_drive      the roads
"""
