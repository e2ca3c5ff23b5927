"""Checkpoints of Quanto (optimum-quanto) in safetensors: signs, and what quanto_qmap.json beside them may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.words import Vocabulary, require_understood
from quantmis.tensor_files import Entry

BYTES, PACKED = ".weight._data", ".weight._data._data"
SCALE, SHIFT = ".weight._scale", ".weight._shift"
RUNTIME = (".input_scale", ".output_scale")
TYPES = {"qint2": 2, "qint4": 4, "qint8": 8, "qfloat8": 8, "qfloat8_e4m3fn": 8, "qfloat8_e5m2": 8}
LAYER = Vocabulary(frozenset({"activations"}), {"weights": tuple(TYPES)})


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of Quanto."""
    return any(name.endswith(SCALE) for name in entries) and any(name.endswith((BYTES, PACKED)) for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a map of layers that says what is not read."""
    for name, each in words.items():
        if name != "quant_method":
            require(isinstance(each, dict), f"{where}: {name} = {each!r} is not understood")
            require_understood(f"{where}: {name}", each, LAYER)


def rounds_activations(words: Mapping[str, Any]) -> bool:
    """Say whether outputs of layers are rounded, and inputs of those that come after them."""
    tables = [each for each in words.values() if isinstance(each, dict)]
    return any(each.get("activations") not in (None, "none") for each in tables)
