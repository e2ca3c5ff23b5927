"""Checkpoints of compressed-tensors, vLLM's own format: signs, and what a configuration may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.model_folders import require_short_work
from quantmis.tensor_files import Entry

PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale")
PLAIN = ("weight_scale", "weight", "weight_zero_point")
RUNTIME = ("input_scale", "input_zero_point", "input_global_scale", "output_scale", "k_scale", "v_scale")
"""What such a file says of activations, which are no numbers of the model."""

PATTERN = "re:"
"""What a target begins with that is a regular expression."""

SPARSE = ("compressed", "bitmask", "shape", "row_offsets")
"""Of a matrix without its zeros: what is left, which weights these are, a bit each, and its shape."""

FORMATS = (
    *("pack-quantized", "int-quantized", "naive-quantized", "mixed-precision", "float-quantized", "dense"),
    *("nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp6-pack-quantized", "mxfp8-quantized"),
)
SPARSE_FORMATS = ("dense", "sparse-24-bitmask", "sparse-bitmask")
WORDS = Vocabulary(
    words_of("quant_method ignore global_compression_ratio version run_compressed dequantize provider config_groups")
    | words_of("use_optimized_inference sparsity_config"),
    {
        "format": FORMATS,
        "quantization_status": ("compressed", "frozen"),
    },
)
SPARSITY = Vocabulary(
    words_of("targets ignore global_sparsity registry_requires_subclass"),
    {"format": SPARSE_FORMATS, "sparsity_structure": ("2:4", "unstructured", "0:0")},
)
GROUP = Vocabulary(words_of("targets weights input_activations"), {"format": FORMATS})
HISTORY = words_of(
    "num_bits group_size observer observer_kwargs actorder block_structure symmetric scale_dtype zp_dtype"
)
WEIGHTS = Vocabulary(
    HISTORY,
    {
        "type": ("int", "float"),
        "dynamic": (False,),
        "strategy": ("tensor", "channel", "group", "tensor_group", "block"),
    },
)
ACTIVATIONS = Vocabulary(HISTORY | words_of("type dynamic strategy"))


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of compressed-tensors."""
    return any(name.endswith((".weight_packed", ".weight_scale")) for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)
    sparsity = words.get("sparsity_config") or {}
    require(isinstance(sparsity, dict), f"{where}: sparsity_config is no table")
    require_understood(f"{where}: sparsity_config", sparsity, SPARSITY)
    require_groups(where, words, GROUP)


def require_groups(where: str, words: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Raise `UserError` where what `config_groups` says is not understood; a group may have words of `vocabulary`."""
    groups = words.get("config_groups") or {}
    require(isinstance(groups, dict), f"{where}: config_groups is no table")
    for name, group in groups.items():
        require(isinstance(group, dict), f"{where}: {name} of config_groups is no table", hint="save it compressed")
        require_understood(f"{where}: {name}", group, vocabulary)
        targets = group.get("targets") or []
        plain = isinstance(targets, list) and all(isinstance(each, str) for each in targets)
        require(plain, f"{where}: targets of {name} are no list of names")
        for target in (each for each in targets if each.startswith(PATTERN)):
            require_short_work(f"{where}: targets of {name}", target.removeprefix(PATTERN))
        for part, own in (("weights", WEIGHTS), ("input_activations", ACTIVATIONS)):
            require_understood(f"{where}: {part} of {name}", group.get(part) or {}, own)
