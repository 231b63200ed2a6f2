"""Computers and phones: how programs get there and run. One file and one row of `edgeq.registry.HOSTS` each."""

from edgeq.runners.hosts.contract import Answer, Connector, Host

__all__ = ["Answer", "Connector", "Host"]
