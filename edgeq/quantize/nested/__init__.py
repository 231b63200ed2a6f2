"""One int8 file that holds several precisions (docs/nested.md)."""

from edgeq.quantize.nested.convert import NestedModel, checked_precisions, convert_nested, nested_layers

__all__ = ["NestedModel", "checked_precisions", "convert_nested", "nested_layers"]
