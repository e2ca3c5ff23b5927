"""Checkpoints of bitsandbytes in safetensors: signs, and what a configuration and the state of a layer may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

STATE = ".weight.quant_state.bitsandbytes__"
SCALE = ".SCB"
INT8 = 256
"""Levels of the format with eight bits."""

WORDS = Vocabulary(
    words_of(
        "quant_method load_in_4bit load_in_8bit _load_in_4bit _load_in_8bit llm_int8_threshold llm_int8_skip_modules",
        "llm_int8_enable_fp32_cpu_offload bnb_4bit_compute_dtype bnb_4bit_quant_type bnb_4bit_use_double_quant",
        "bnb_4bit_quant_storage",
    ),
    {"llm_int8_has_fp16_weight": (False,)},
)
NESTED = words_of("nested_blocksize nested_offset")
STATES = Vocabulary(words_of("blocksize shape dtype nested_dtype") | NESTED, {"quant_type": ("nf4", "fp4")})


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of bitsandbytes."""
    return any(STATE in name or name.endswith(SCALE) for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
