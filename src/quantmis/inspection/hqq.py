"""Checkpoints of HQQ in safetensors: signs. Each layer says in tensors of one number how it was quantized."""

from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("W_q", "scale", "zero")
NUMBERS = ("nbits", "group_size", "axis")
FLAGS = ("view_as_float", "channel_wise", "optimize", "round_zero", "offload_meta", "stores_quant_config")
TEXTS = ("packing", "unpack_view_dtype", "compute_dtype")
STATE = (*PARTS, "shape", *NUMBERS, *FLAGS, *TEXTS, "encoded_state_dict", "quant_scale", "quant_zero")
"""The tensors of a layer but its bias; a layer that has others of these names is not understood."""

WORDS = Vocabulary(words_of("quant_method quant_config skip_modules modules_to_not_convert"))


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of HQQ."""
    return any(name.endswith(".W_q") for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
