"""Checkpoints of ModelOpt (NVIDIA) for transformers: signs, and what their configurations may say.

One of `quantization_config` in config.json, which has the words of compressed-tensors, and of hf_quant_config.json is
enough; mostly both are there.
"""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.compressed_tensors import GROUP, require_groups
from quantmis.inspection.words import Vocabulary, require_understood, words_of
from quantmis.tensor_files import Entry

PARTS = ("weight_scale", "weight", "weight_scale_2", "input_scale")
CACHE = ("k_scale", "v_scale", "k_bias", "v_bias", "k_proj.k_scale", "v_proj.v_scale")
ALGORITHMS = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4", "MXFP8", "W8A16", "MXFP4")
"""What is read; AWQ and SmoothQuant of ModelOpt multiply inputs of layers (`pre_quant_scale`) and are refused."""

WORDS = Vocabulary(
    words_of("quant_method ignore exclude_modules producer group_size config_groups kv_cache_scheme")
    | words_of("kv_cache_quant_algo targets"),
    {
        "quant_algo": (*ALGORITHMS, "MIXED_PRECISION"),
        "has_zero_point": (False,),
        "pre_quant_scale": (False,),
        "quantized_layers": (),
    },
)


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of NVFP4 as ModelOpt has it, which no other tool writes.

    Its FP8 has the names of compressed-tensors, which means the same by them; the configuration tells them apart.
    """
    return any(name.endswith(".weight_scale_2") for name in entries)


def may_be(entries: Mapping[str, Entry]) -> bool:
    """Say whether tensors can be those of ModelOpt where the configuration says so."""
    return any(name.endswith(".weight_scale") for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    own = {name: value for name, value in words.items() if name != "quantized_layers"}
    require_understood(where, own, WORDS)
    require_groups(where, words, GROUP)
    layers = words.get("quantized_layers") or {}
    require(isinstance(layers, dict), f"{where}: quantized_layers is no table")
    for name, each in layers.items():
        require(isinstance(each, dict), f"{where}: {name} of quantized_layers is no table")
        require_understood(f"{where}: {name}", each, WORDS)


def rounds_cache(words: Mapping[str, Any]) -> bool:
    """Say whether keys and values are kept in fewer bits where the file runs."""
    return bool(words.get("kv_cache_scheme") or words.get("kv_cache_quant_algo"))
