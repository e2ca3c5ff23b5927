"""How the inputs of layers are rounded where a file runs, as its configuration says: a declaration, no computation.

`quantmis.quantizers.formats.activations` computes by it. What a configuration leaves open, or a way that is not
repeated here, is no `Rounding`; then a line beside the result says that activations are left as they are.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quantmis.errors import require
from quantmis.inspection.compressed_tensors import PATTERN

Per = Literal["tensor", "token", "group"]
Number = Literal["int", "float"]
FLOATS = {4: 6.0, 6: 7.5, 8: 448.0}
"""The largest number of the formats E2M1, E2M3 and E4M3 by their bits."""

EMPTY = 1e-5
"""The least magnitude that BitNet takes an input to have."""


@dataclass(frozen=True)
class Rounding:
    """Say how inputs are rounded: to numbers of `bits`, with a scale for the tensor, a token, or a run of `size`.

    `static`: with a scale that the file keeps (`input_scale`) instead of one from the inputs at hand. `two_levels`:
    scales of runs are numbers of FP8 themselves, times one that the file keeps. `powers`: scales are powers of two,
    "near" (rounded as compressed-tensors does) or "above" (the next one up). `most`: the magnitude that a scale takes
    to this number; `least`: the magnitude that inputs are taken to have at least.
    """

    bits: int
    number: Number
    per: Per
    size: int | None = None
    static: bool = False
    symmetric: bool = True
    two_levels: bool = False
    powers: Literal["", "near", "above"] = ""
    most: float | None = None
    least: float = 0.0


def of_group(where: str, words: Mapping[str, Any]) -> Rounding:
    """Return what `input_activations` of a group of compressed-tensors says; `UserError` for what is not repeated."""
    bits, number = words.get("num_bits", 8), words.get("type", "int")
    size = words.get("group_size")
    dynamic, strategy = words.get("dynamic", False), words.get("strategy") or ("group" if size else "tensor")
    symmetric = words.get("symmetric", True)
    is_local = dynamic == "local" and strategy == "tensor_group" and bits == 4
    known = (
        (number == "float" and bits in FLOATS and symmetric) or (number == "int" and bits in range(2, 9))
    ) and strategy in ("tensor", "token", "group", "tensor_group")
    grouped = strategy in ("group", "tensor_group")
    fits = known and (not grouped or (type(size) is int and size > 0)) and (dynamic in (True, False) or is_local)
    require(fits, f"{where}: activations of {bits} bits ({number}, {strategy}, dynamic = {dynamic}) are not repeated")
    require(dynamic or strategy == "tensor", f"{where}: scales of activations that are kept are read for a tensor")
    is_power = number == "float" and size == 32 and "uint8" in str(words.get("scale_dtype"))
    return Rounding(
        bits=bits,
        number=number,
        per="group" if grouped else strategy,
        size=size if grouped else None,
        static=not dynamic,
        symmetric=bool(symmetric),
        two_levels=is_local,
        powers="near" if is_power else "",
    )


def by_group(where: str, words: Mapping[str, Any], layers: list[str]) -> dict[str, Rounding]:
    """Return how the inputs of each of some layers are rounded, by `config_groups`; those as they are come not up."""
    groups = list((words.get("config_groups") or {}).values())
    mine = {name: _group_of(name, groups) for name in layers}
    return {
        name: of_group(where, group["input_activations"])
        for name, group in mine.items()
        if group is not None and group.get("input_activations")
    }


def _group_of(name: str, groups: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the group that a layer is in: by its name, by a pattern, or by its kind, which any other target is."""
    for fits in (_by_name, _by_pattern, _by_kind):
        for group in groups:
            if any(fits(name, target) for target in group.get("targets") or ["Linear"]):
                return group
    return None


def _by_name(name: str, target: str) -> bool:
    return target == name


def _by_pattern(name: str, target: str) -> bool:
    return target.startswith(PATTERN) and re.match(target.removeprefix(PATTERN), name) is not None


def _by_kind(name: str, target: str) -> bool:
    return target == "Linear"


def of_fp8(words: Mapping[str, Any]) -> Rounding:
    """Return how FP8 in blocks rounds inputs: in runs as long as a block is wide, or with a scale that is kept."""
    block = words.get("weight_block_size", [128, 128])
    powers = "above" if words.get("scale_fmt") == "ue8m0" else ""
    if words.get("activation_scheme", "dynamic") == "static":
        return Rounding(8, "float", "tensor", static=True)
    return Rounding(8, "float", "group" if block else "token", block[1] if block else None, powers=powers)


def rounds(format: str, words: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Say whether a file, whose tensors have such `names`, rounds inputs of layers in a way that is repeated."""
    groups = (words.get("config_groups") or {}).values()
    return {
        "compressed-tensors": any(bool(group.get("input_activations")) for group in groups),
        "modelopt": algorithm(words, names) in MODELOPT,
    }.get(format, format in ("fp8", "bitnet"))


def algorithm(words: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return ModelOpt's algorithm: as it is said, or else what the tensors are, where inputs have a scale."""
    said = words.get("quant_algo")
    ends = {name.rpartition(".")[2] for name in names} if said is None else set[str]()
    return str(said) if said else "" if "input_scale" not in ends else "NVFP4" if "weight_scale_2" in ends else "FP8"


MODELOPT = {
    "FP8": Rounding(8, "float", "tensor", static=True),
    "FP8_PER_CHANNEL_PER_TOKEN": Rounding(8, "float", "token"),
    "NVFP4": Rounding(4, "float", "group", 16, two_levels=True),
    "MXFP8": Rounding(8, "float", "group", 32, powers="above"),
}
"""How ModelOpt's algorithms round inputs; those that are not here leave them as they are."""

BITNET = Rounding(8, "int", "token", most=127.0, least=EMPTY)
