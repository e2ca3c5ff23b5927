"""FP8 in blocks, as DeepSeek publishes it and transformers writes it: signs, and what a configuration may say.

A matrix `weight` of FP8 is multiplied by `weight_scale_inv`, one number for each block of it.
"""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("weight_scale_inv", "weight")
RUNTIME = ("activation_scale", "input_scale")
"""What each layer may say of its inputs where they are rounded with a scale that is kept."""

BLOCK = [128, 128]
WORDS = Vocabulary(
    words_of("quant_method weight_block_size modules_to_not_convert modules_to_convert ignored_layers dequantize"),
    {
        "fmt": ("e4m3", "float8_e4m3fn"),
        "activation_scheme": ("dynamic", "static"),
        "scale_fmt": ("float", "ue8m0"),
        "expert_dtype": ("fp8",),
    },
)


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of FP8 in blocks."""
    return any(name.endswith(f".{PARTS[0]}") for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
    block = words.get("weight_block_size")
    pair = isinstance(block, list) and len(block) == 2 and all(type(size) is int and size > 0 for size in block)
    require(block is None or pair, f"{where}: weight_block_size = {block!r} is no pair of sizes")
