"""One request, one package."""

from __future__ import annotations

from edgeq import registry
from edgeq.exports.contract import Export, Format, Request
from edgeq.exports.naming import check_package


def export(format: str, request: Request) -> Export:
    """Make a package; nothing is written.

    Args:
        format: a name in edgeq.registry.EXPORTS.

    Raises:
        UsageError: no such format, or a name that compilers or package managers would stumble over.
        UnsupportedError: the model or the core doesn't go with the format; the message names the layers.
    """
    make: Format = registry.load(registry.EXPORTS, format, "format")
    check_package(request.package)
    return make(request)
