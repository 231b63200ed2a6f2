"""Cut some operators out of a `.tflite` as a file of their own."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.tflite.objects import pack, unpack


def extract(model: bytes, operators: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A file with the same tensors but only `operators`.

    Args:
        model: a `.tflite` that `edgeq.tflite` has read without complaint.
        operators: their places in the execution order, ascending.
        inputs, outputs: tensor indices that become the new file's ends.
    """
    whole = unpack(model)
    whole.subgraphs = whole.subgraphs[:1]
    part = whole.subgraphs[0]
    part.operators = [part.operators[index] for index in operators]
    part.inputs = list(inputs)
    part.outputs = list(outputs)
    # An interpreter looks for a kernel of every operator that the file names, whether it is there or not.
    used = sorted({operator.opcodeIndex for operator in part.operators})
    for operator in part.operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    whole.operatorCodes = [whole.operatorCodes[index] for index in used]
    whole.signatureDefs = None
    whole.metadata = None
    return pack(whole)
