"""Checkpoints of torchao in safetensors: signs, what a configuration and the head of a tensor may say."""

import json
from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("_weight_qdata", "_weight_scale", "_weight_zero_point")
KINDS = ("Int8Tensor", "IntxUnpackedToInt8Tensor", "Float8Tensor")
WORDS = Vocabulary(
    words_of("quant_method quant_type quant_type_kwargs modules_to_not_convert include_input_output_embeddings")
    | {"untie_embedding_weights"}
)
HEADER = Vocabulary(
    words_of("block_size dtype target_dtype act_quant_kwargs activation_quantization mm_config kernel_preference"),
    {"reduce_range": (False, True)},
)
"""What the head may say of a tensor; activations are told apart from weights by `rounds_activations`."""


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of torchao."""
    return any(name.endswith(f".{PARTS[0]}") for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)


def rounds_activations(word: str) -> bool:
    """Say whether a word of the header describes a weight whose inputs are rounded too."""
    try:
        content = json.loads(word)
    except ValueError:
        return False
    parts = content.get("_data", {}) if isinstance(content, dict) else {}
    return isinstance(parts, dict) and any(parts.get(key) for key in ("act_quant_kwargs", "activation_quantization"))
