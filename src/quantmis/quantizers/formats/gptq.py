"""GPTQ checkpoints in safetensors, as AutoGPTQ, gptqmodel and AutoRound write them.

`qweight` packs codes along the inputs, [inputs * bits / 32, outputs]; `qzeros` packs the zero points along the outputs;
`scales` is [groups, outputs]; `g_idx` names the group of each input, which with act-order are no neighbours. Version 1
of the format, and AutoRound's packing of that name, keep zero points less one; `gptq_v2`, and AutoRound's own packings,
keep them as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.formats.packing import Layers, group_size, parts_read, signed, unpacked
from quantmis.quantizers.formats.words import Vocabulary, numbers, require_understood, words_of
from quantmis.quantizers.record import QuantizedLayer
from quantmis.tensor_files import Entry

PARTS = ("qweight", "qzeros", "scales", "g_idx")
HISTORY = words_of(
    "quant_method bits w_bit group_size q_group_size sym desc_act damp_percent damp_auto_increment static_groups mse",
    "true_sequential act_group_aware model_name_or_path model_file_base_name model_seqlen max_input_length meta",
    "tokenizer dataset batch_size pad_token_id block_name_to_quantize module_name_preceding_first_block lm_head",
    "modules_in_block_to_quantize cache_block_outputs use_exllama disable_exllama exllama_config use_cuda_fp16",
    "backend gptaq gptaq_alpha v2 v2_alpha vram_strategy fail_safe failsafe offload_to_disk offload_to_disk_path",
    "device pack_impl auto_forward_data_parallel",
)
"""How codes were chosen and computed with, which their values show or which changes none."""

FORMATS = {"checkpoint_format": ("gptq", "gptq_v2"), "format": ("gptq", "gptq_v2")}
WORDS = Vocabulary(
    HISTORY,
    {**FORMATS, "pack_dtype": ("int32",), "is_marlin_format": (False,), "mock_quantization": (False,)},
)
OWN_PACKINGS = ("auto_round", "auto_round:gptqmodel")
AUTO_ROUND = Vocabulary(
    words_of(
        "quant_method bits group_size sym autoround_version auto_round_version iters nsamples seqlen batch_size lr",
        "seed minmax_lr gradient_accumulate_steps low_gpu_mem_usage low_cpu_mem_usage enable_quanted_input dataset",
        "model_free enable_minmax_tuning enable_norm_bias_tuning block_name_to_quantize quant_block_list",
        "scale_dtype amp provider backend desc_act damp_percent true_sequential tokenizer act_group_size act_sym",
        "act_dynamic act_data_type to_quant_block_names extra_config quant_lm_head",
        "model_name_or_path modules_to_not_convert",
    ),
    {
        "data_type": ("int", "int_sym", "int_asym"),
        "packing_format": (*OWN_PACKINGS, "auto_round:auto_gptq", "auto_round:auto_awq"),
        "act_bits": (16, 32),
        "zero_point": (True,),
        "version": ("gemm",),
    },
)
EXTRA = Vocabulary(
    AUTO_ROUND.free - {"extra_config"}, {"data_type": ("int", "int_sym", "int_asym", "float"), "act_bits": (16, 32)}
)
"""What AutoRound may say of a single layer."""


def fits(entries: Mapping[str, Entry]) -> bool:
    """Say whether the names of a file's tensors are those of a GPTQ checkpoint."""
    return any(name.endswith(".qweight") for name in entries)


def require_read(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration that says what is not read."""
    require_understood(where, words, WORDS)


def require_auto_round(where: str, words: Mapping[str, Any]) -> None:
    """Raise `UserError` for a configuration of AutoRound that says what is not read."""
    require_understood(where, words, AUTO_ROUND)
    own = words.get("extra_config") or {}
    require(isinstance(own, dict), f"{where}: extra_config is no table")
    for name, each in own.items():
        require(isinstance(each, dict), f"{where}: extra_config of {name} is no table")
        require_understood(f"{where}: extra_config of {name}", each, EXTRA)


def layers(tensors: dict[str, Tensor], words: dict[str, Any]) -> tuple[Layers, dict[str, Tensor]]:
    """Return the quantized layers and the other tensors."""
    return parts_read(tensors, PARTS, partial(_layer, words=words))


def _layer(name: str, tensors: dict[str, Tensor], words: dict[str, Any]) -> QuantizedLayer:
    scale, codes, packed = (tensors[f"{name}.{part}"] for part in ("scales", "qweight", "qzeros"))
    order = tensors.get(f"{name}.g_idx")
    order = None if order is None or not len(order) else order
    groups, outputs = scale.shape
    bits = packed.shape[1] * 32 // outputs if order is None else codes.shape[0] * 32 // len(order)
    require(bits in (2, 3, 4, 8), f"{name} has codes of {bits} bits; read are 2, 3, 4 and 8")
    inputs = codes.shape[0] * 32 // bits if order is None else len(order)
    require(
        codes.shape == (-(-inputs * bits // 32), outputs) and packed.shape == (groups, -(-outputs * bits // 32)),
        f"{name} is damaged: {codes.shape[0]} words of {32 // bits} codes do not hold {inputs} inputs, "
        f"or {list(packed.shape)} words not the zero points of {groups} groups",
    )
    zero = (unpacked(packed, bits, outputs) + _less(words)) % 2**bits
    size = group_size(name, inputs, groups, numbers(words, "group_size", "q_group_size"))
    return signed(name, bits, unpacked(codes.T, bits, inputs), scale.T, zero.T, size, order)


def _less(words: Mapping[str, Any]) -> int:
    """Return what was subtracted from zero points before they were packed."""
    whole = "gptq_v2" in (words.get("checkpoint_format"), words.get("format"))
    return 0 if whole or words.get("packing_format") in OWN_PACKINGS else 1
