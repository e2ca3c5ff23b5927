"""The quantized layers of safetensors files, from their heads: which tensors belong together, and of how many bits."""

import re
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from quantmis.inspection import mlx, quanto
from quantmis.inspection.found import Layer, Plain
from quantmis.tensor_files import BITS, Entry

Words = Mapping[str, Any]


class Ends(NamedTuple):
    """Hold how the tensors of a layer end: codes, of which the first that is there counts, scales, zero points."""

    codes: tuple[str, ...]
    scales: tuple[str, ...]
    zeros: tuple[str, ...] = ()


ENDS = {
    "awq": Ends((".qweight",), (".scales",), (".qzeros",)),
    "gptq": Ends((".qweight",), (".scales",), (".qzeros",)),
    "compressed-tensors": Ends(
        (".weight_packed", ".weight", ".compressed", ".weight.compressed"), (".weight_scale",), (".weight_zero_point",)
    ),
    "modelopt": Ends((".weight",), (".weight_scale",)),
    "fp8": Ends((".weight",), (".weight_scale_inv",)),
    "mxfp4": Ends(("_blocks",), ("_scales",)),
    "bitnet": Ends((".weight",), (".weight_scale",)),
    "bitsandbytes": Ends((".weight",), (".weight.absmax", ".SCB")),
    "torchao": Ends(("._weight_qdata",), ("._weight_scale",), ("._weight_zero_point",)),
    "mlx": Ends((".weight",), (".scales",), (".biases",)),
    "hqq": Ends((".W_q",), (".scale",), (".zero",)),
    "quanto": Ends((".weight._data._data", ".weight._data"), (".weight._scale",), (".weight._shift",)),
    "exl2": Ends((".q_weight",), (".q_scale",)),
}
FIXED = {"awq": 4.0, "mxfp4": 4.0, "bitnet": 2.0, "fp8": 8.0}
"""Bits of a code, of the formats that have one number of them."""


def layers_of(
    format: str, entries: Mapping[str, Entry], words: Words, header: Mapping[str, str]
) -> tuple[tuple[Layer, ...], tuple[Plain, ...]]:
    """Return the quantized layers of a file in a format, and the tensors that belong to none."""
    ends = ENDS[format]
    names = [name.removesuffix(end) for name in entries for end in ends.scales if name.endswith(end)]
    layers = [_layer(format, name, ends, entries, words, header) for name in dict.fromkeys(names)]
    own = tuple(f"{layer.name}{'_' if format == 'mxfp4' else '.'}" for layer in layers)
    quantized = {name for name in entries if name.startswith(own) and not name.endswith((".bias", "_bias"))}
    rest = {name: each for name, each in entries.items() if name not in quantized}
    return tuple(layers), tuple(Plain(name, each.kind, each.shape) for name, each in rest.items())


def _layer(
    format: str, name: str, ends: Ends, entries: Mapping[str, Entry], words: Words, header: Mapping[str, str]
) -> Layer:
    codes, scale, zero = (_first(name, each, entries) for each in ends)
    bits = None if codes is None else _bits(format, name, codes, scale, words, entries, header)
    stored = 0 if codes is None else prod(codes.shape) * BITS[codes.kind]
    weights = None if not bits else int(stored // bits)
    if format == "hqq":
        sizes = _told_numbers(header, f"{name}.shape")
        weights = int(prod(sizes)) if sizes else None
    count = 0 if scale is None else prod(scale.shape)
    group = None if not weights or count <= 1 else -(-weights // count)
    kind = "" if codes is None else codes.kind
    own = _said(words) if format == "compressed-tensors" and kind == "I8" else None  # narrower codes, a byte each
    return Layer(name, weights, own or bits, group, _told(scale), _told(zero), kind)


def _first(name: str, ends: tuple[str, ...], entries: Mapping[str, Entry]) -> Entry | None:
    return next((entries[f"{name}{end}"] for end in ends if f"{name}{end}" in entries), None)


def _told(entry: Entry | None) -> str:
    return "" if entry is None else f"{entry.kind} {list(entry.shape)}"


def _bits(
    format: str,
    name: str,
    codes: Entry,
    scale: Entry | None,
    words: Words,
    entries: Mapping[str, Entry],
    header: Mapping[str, str],
) -> float | None:
    """Return the bits of a code, None where neither the head nor the configuration says."""
    if format in FIXED:
        return FIXED[format]
    if format == "gptq":
        zeros = entries.get(f"{name}.qzeros")
        fits = zeros is not None and scale is not None and len(zeros.shape) == len(scale.shape) == 2 and scale.shape[1]
        return zeros.shape[1] * 32 / scale.shape[1] if fits else None  # pyright: ignore[reportOptionalMemberAccess]
    if format == "bitsandbytes":
        return 8.0 if f"{name}.SCB" in entries else 4.0
    if format == "mlx":
        return _number(mlx.said_of(name, words).get("bits"))
    if format == "quanto":
        said = words.get(name)
        return _number(quanto.TYPES.get(str(said.get("weights"))) if isinstance(said, dict) else None)
    if format == "hqq":
        return next(iter(_told_numbers(header, f"{name}.nbits")), None)
    if format == "torchao":
        return next((float(bits) for bits in range(1, 8) if f'"int{bits}"' in header.get(f"{name}.weight", "")), 8.0)
    return _of_blocks(codes, scale, words) if format in ("compressed-tensors", "modelopt") else None


def _told_numbers(header: Mapping[str, str], name: str) -> list[float]:
    """Return the numbers that a file says in words, none where these are no positive numbers."""
    numbers = re.findall(r"(?:^| )(\d{1,12}(?:\.\d{1,20})?)(?= |$)", header.get(name, ""))
    return [float(each) for each in numbers if float(each) > 0]


def _of_blocks(codes: Entry, scale: Entry | None, words: Words) -> float | None:
    """Return the bits of codes of compressed-tensors and ModelOpt, by their type and what the groups say."""
    if codes.kind.startswith("F8"):
        return 8.0
    if codes.kind == "U8":
        six = scale is not None and bool(codes.shape and scale.shape) and 24 * scale.shape[-1] == codes.shape[-1]
        return 6.0 if six and scale is not None and scale.kind != "F8_E4M3" else 4.0
    return _said(words) if codes.kind == "I32" else 8.0 if codes.kind == "I8" else None


def _said(words: Words) -> float | None:
    """Return the bits that all groups of a configuration say of weights."""
    groups = [each.get("weights") or {} for each in (words.get("config_groups") or {}).values()]
    said = {each["num_bits"] for each in groups if type(each.get("num_bits")) is int}
    return float(said.pop()) if len(said) == 1 else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value else None
