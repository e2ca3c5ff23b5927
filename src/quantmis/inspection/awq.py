"""AWQ checkpoints in safetensors: the signs by which one is known, and what its configuration may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.gptq import HISTORY
from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PACKINGS = ("gemm", "gemv", "gemv_fast")
SPELLED = (*PACKINGS, *(word.upper() for word in PACKINGS))
PARTS = ("qweight", "qzeros", "scales")
WORDS = Vocabulary(
    HISTORY - {"backend"} | words_of("modules_to_not_convert do_fuse fuse_max_seq_len modules_to_fuse"),
    {
        "version": SPELLED,
        "format": SPELLED,
        "checkpoint_format": SPELLED,
        "zero_point": (True,),
        "backend": ("autoawq", "auto", "auto_trainable", *PACKINGS),
        "pack_dtype": ("int32",),
    },
)


def packing_of(codes: Entry, zeros: Entry, scales: Entry) -> str | None:
    """Return the packing of a layer by the shapes of its parts, None where they are of no packing of AWQ.

    gemm packs codes and zero points along outputs, gemv along inputs; gemv_fast keeps zero points as numbers.
    """
    if not all(len(each.shape) == 2 for each in (codes, zeros, scales)):
        return None
    if codes.kind == "I16" and zeros.shape == scales.shape:
        return "gemv_fast" if 4 * codes.shape[0] == scales.shape[1] else None
    if codes.kind != "I32" or zeros.kind != "I32":
        return None
    if codes.shape[1] == zeros.shape[1] and zeros.shape[0] == scales.shape[0]:
        return "gemm"
    is_gemv = codes.shape[0] == zeros.shape[0] == scales.shape[0] and scales.shape[1] == 8 * zeros.shape[1]
    return "gemv" if is_gemv else None


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether a file's tensors are those of AWQ, by the shapes of codes, zero points and scales.

    A small layer of gemv may have the shapes of GPTQ with groups of eight; the configuration tells them apart.
    """
    layers = [layer for layer in _layers(entries) if packing_of(*layer)]
    return any(packing_of(*layer) != "gemv" or layer[0].shape[1] != layer[2].shape[1] for layer in layers)


def may_be(entries: Mapping[str, Entry]) -> bool:
    """Say whether a file's tensors can be those of AWQ where the configuration says so."""
    return any(packing_of(*layer) for layer in _layers(entries))


def _layers(entries: Mapping[str, Entry]) -> list[list[Entry]]:
    """Return codes, zero points and scales of each layer that has all three."""
    names = [name.removesuffix(f".{PARTS[0]}") for name in entries if name.endswith(f".{PARTS[0]}")]
    keys = [[f"{name}.{part}" for part in PARTS] for name in names]
    return [[entries[key] for key in each] for each in keys if all(key in entries for key in each)]


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
    said = {str(words[name]).lower() for name in ("version", "format", "checkpoint_format") if words.get(name)}
    require(len(said) <= 1, f"{where}: it names several packings, {', '.join(sorted(said))}")
