"""Hosts to talk to."""

from host_fixtures import adb_server, board_at_ssh, phones, ssh_server

__all__ = ["adb_server", "board_at_ssh", "phones", "ssh_server"]
