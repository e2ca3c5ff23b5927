"""EXL2 (exllamav2) in safetensors: signs, and what a configuration may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("q_weight", "q_groups", "q_scale", "q_scale_max", "q_invperm", "q_perm", "q_group_map")
WORDS = Vocabulary(words_of("quant_method version bits head_bits calibration"))


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of EXL2."""
    names = [name.removesuffix(".q_weight") for name in entries if name.endswith(".q_weight")]
    return any(f"{name}.q_groups" in entries for name in names)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
