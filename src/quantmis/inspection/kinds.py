"""The formats of safetensors files with quantized weights: by which signs one is known, and what it may say.

What a file holds shows in the names, types and shapes of its tensors; what a configuration beside it says must be
understood word by word, and agree. Nothing here looks at a weight.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from quantmis.errors import UserError, require
from quantmis.inspection import (
    awq,
    bitnet,
    bitsandbytes,
    compressed_tensors,
    exl2,
    fp8,
    gptq,
    hqq,
    mlx,
    modelopt,
    mxfp4,
    quanto,
    torchao,
)
from quantmis.inspection.lookalikes import quantized_as
from quantmis.tensor_files import Entry

Entries = Mapping[str, Entry]
Words = Mapping[str, Any]


class Kind(NamedTuple):
    """Hold the signs of a format, which of its configurations are read, and what they call it (`quant_method`).

    `fits`: whether tensors are of this format and of no other. `may_be`: whether they can be where a configuration
    says so.
    """

    fits: Callable[[Entries], bool]
    require_read: Callable[[str, Words], None]
    methods: tuple[str, ...]
    may_be: Callable[[Entries], bool] | None = None

    def allows(self, entries: Entries) -> bool:
        """Say whether tensors can be of this format."""
        return (self.may_be or self.fits)(entries)


KINDS = {
    "modelopt": Kind(modelopt.fits, modelopt.require_read, ("modelopt", "modelopt_fp4"), modelopt.may_be),
    "fp8": Kind(fp8.fits, fp8.require_read, ("fp8",)),
    "mxfp4": Kind(mxfp4.fits, mxfp4.require_read, ("mxfp4",)),
    "bitnet": Kind(bitnet.fits, bitnet.require_read, ("bitnet",)),
    "compressed-tensors": Kind(
        compressed_tensors.fits, compressed_tensors.require_read, ("compressed-tensors", "compressed_tensors")
    ),
    "awq": Kind(awq.fits, awq.require_read, ("awq",), awq.may_be),
    "gptq": Kind(gptq.fits, gptq.require_read, ("gptq",)),
    "bitsandbytes": Kind(bitsandbytes.fits, bitsandbytes.require_read, ("bitsandbytes",)),
    "torchao": Kind(torchao.fits, torchao.require_read, ("torchao",)),
    "mlx": Kind(mlx.fits, mlx.require_read, ("mlx",)),
    "hqq": Kind(hqq.fits, hqq.require_read, ("hqq",)),
    "quanto": Kind(quanto.fits, quanto.require_read, ("quanto",)),
    "exl2": Kind(exl2.fits, exl2.require_read, ("exl2",)),
}
"""The formats, those with the narrower signs first."""

AUTO_ROUND = ("auto-round", "intel/auto-round")
GRAPH, BLOCKS, RECORD, NETWORK, LITERT = "onnx", "gguf", "quantmis", "openvino", "litert"
GENAI = "onnxruntime-genai"
KNOWN = f"{BLOCKS}, {GRAPH}, {GENAI}, {LITERT}, {NETWORK}, {', '.join(KINDS)} (safetensors)"


def of_entries(path: Path, entries: Entries, words: Words | None = None) -> str | None:
    """Return the format that tensors are in, None for plain ones; `UserError` for a format that is not read.

    `words`: the configuration beside them, which decides between formats that have the same tensors.
    """
    said = [name for name, kind in KINDS.items() if (words or {}).get("quant_method") in kind.methods]
    fitting = [name for name, kind in KINDS.items() if kind.fits(entries)]
    format = next((name for name in said if fitting and KINDS[name].allows(entries)), fitting[0] if fitting else None)
    other = None if format else quantized_as(entries)
    if other is not None:
        raise UserError(
            f"{path} looks like {other[0]}, which is not read here", hint=f"the nearest that is: {other[1]}"
        )
    return format


def agreed(path: Path, words: Words, entries: Entries) -> str:
    """Return the format that tensors show, once their configuration says the same and is understood.

    Raises `UserError` where it does not, and for tensors of no format that is read.
    """
    format = of_entries(path, entries)
    method = words.get("quant_method")
    require(format, f"{path} holds no quantized layers of a known format", hint=f"known: {KNOWN}")
    meant = _auto_round(path, words) if method in AUTO_ROUND else _method(path, method, str(format))
    fits = meant == format or (KINDS[meant].may_be is not None and KINDS[meant].allows(entries))
    require(fits, f"{path}: its configuration says {meant}, its tensors are those of {format}")
    if method not in AUTO_ROUND:
        KINDS[meant].require_read(str(path), words)
    return meant


def _auto_round(path: Path, words: Words) -> str:
    gptq.require_auto_round(str(path), words)
    return "awq" if words.get("packing_format") in gptq.AWQ_PACKINGS else "gptq"


def _method(path: Path, method: Any, format: str) -> str:
    if method is None:
        return format
    names = [name for name, kind in KINDS.items() if method in kind.methods]
    require(names, f"{path}: quant_method = {method!r} is not read", hint=f"read are {KNOWN} and auto-round")
    return names[0]
