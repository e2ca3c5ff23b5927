"""GPTQ checkpoints in safetensors, AutoRound's packings among them: signs, and what a configuration may say."""

from collections.abc import Mapping
from typing import Any

from quantmis.errors import require
from quantmis.inspection.words import Vocabulary, require_understood, words_of
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
AWQ_PACKINGS = ("auto_round:auto_awq", "auto_round:awq")
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
        "packing_format": (*OWN_PACKINGS, "auto_round:auto_gptq", *AWQ_PACKINGS),
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
    """Say whether the names and types of a file's tensors are those of a GPTQ checkpoint."""
    return any(name.endswith(".qweight") and each.kind == "I32" for name, each in entries.items())


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
