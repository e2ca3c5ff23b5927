"""BitNet in safetensors, as transformers keeps it: signs, and what a configuration may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("weight_scale", "weight")
WORDS = Vocabulary(
    words_of("quant_method modules_to_not_convert rms_norm_eps"),
    {
        "linear_class": ("bitlinear", "autobitlinear"),
        "quantization_mode": ("offline",),
        "use_rms_norm": (False,),
    },
)


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the tensors of a file are those of BitNet: bytes of codes with one scale for all."""
    names = [name.removesuffix(".weight_scale") for name in entries if name.endswith(".weight_scale")]
    pairs = [(entries.get(f"{name}.weight"), entries[f"{name}.weight_scale"]) for name in names]
    return any(code is not None and code.kind == "U8" and scale.shape == (1,) for code, scale in pairs)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
