"""Checkpoints of MLX (Apple) in safetensors: signs, and what a configuration may say.

config.json has a table `quantization`: the size of groups, the bits and the mode, and the same for single layers by
their names, or `false` for one that is left as it is.
"""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("scales", "weight", "biases")
MODES = ("affine", "mxfp4", "mxfp8", "nvfp4")
BITS = (2, 3, 4, 5, 6, 8)
WORDS = Vocabulary(
    words_of("quant_method group_size"),
    {"mode": MODES, "bits": BITS, "quantize_input": (False,), "linear_class": ("QuantizedLinear",)},
)
LAYER = Vocabulary(words_of("group_size"), {"mode": MODES, "bits": BITS})


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names and types of a file's tensors are those of MLX: words of 32 bits without a sign."""
    names = [name.removesuffix(".scales") for name in entries if name.endswith(".scales")]
    codes = [entries.get(f"{name}.weight") for name in names]
    return any(each is not None and each.kind == "U32" for each in codes)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, {name: value for name, value in words.items() if not _is_layer(name, value)}, WORDS)
    for name, value in words.items():
        if _is_layer(name, value) and isinstance(value, dict):
            require_understood(f"{where}: {name}", value, LAYER)
    for each in (words, *(value for value in words.values() if isinstance(value, dict))):
        size = each.get("group_size")
        require(size is None or (type(size) is int and size > 0), f"{where}: group_size = {size!r} is no size")


def _is_layer(name: str, value: Any) -> bool:
    """Say whether a word is the name of a layer, whose value is a table of its own, or a yes or no."""
    return name not in WORDS.values and (isinstance(value, dict) or type(value) is bool)


def said_of(name: str, words: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a configuration says of a layer: its own table, or that of all."""
    own = words.get(name)
    return own if isinstance(own, dict) else words
