"""MXFP4 as GPT-OSS has it: signs, and what a configuration may say.

All experts of a layer are one tensor: `gate_up_proj_blocks`, [experts, outputs, blocks, 16], two codes to a byte, and
`gate_up_proj_scales`, [experts, outputs, blocks], exponents; alike `down_proj`.
"""

from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

BLOCKS, SCALES = "_blocks", "_scales"
WORDS = Vocabulary(words_of("quant_method modules_to_not_convert dequantize"))


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of GPT-OSS."""
    names = [name.removesuffix(BLOCKS) for name in entries if name.endswith(BLOCKS)]
    return any(f"{name}{SCALES}" in entries for name in names)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
