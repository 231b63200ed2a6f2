"""A network as a package for another project: C library, CMake, Arduino, PlatformIO, Zephyr, ESP-IDF, CMSIS-Pack.

`edgeq.registry.EXPORTS` names the formats; each is one file here. All but tflm carry the same `Library`: the generated
network, the kernels that it calls and no others, and an example that runs samples and compares the outputs.
"""

from edgeq.exports.contract import Export, Package, Request, Sample, SampleSet
from edgeq.exports.make import export
from edgeq.exports.naming import default_name
from edgeq.exports.writing import LIST_NAME, write

__all__ = ["LIST_NAME", "Export", "Package", "Request", "Sample", "SampleSet", "default_name", "export", "write"]
