"""Language models as llama.cpp's converter writes them: what transformers calls their tensors, and in which order.

The converter renames tensors (gguf-py, constants and tensor_mapping), stores GPT-2's Conv1D weights as [outputs,
inputs], and reorders the rows of Llama's queries and keys, head by head, for its own rotary embedding.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from quantmis.errors import require
from quantmis.quantizers.record import QuantizedLayer

LLAMA = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "model.layers.{}.input_layernorm",
    "attn_q": "model.layers.{}.self_attn.q_proj",
    "attn_k": "model.layers.{}.self_attn.k_proj",
    "attn_v": "model.layers.{}.self_attn.v_proj",
    "attn_q_norm": "model.layers.{}.self_attn.q_norm",
    "attn_k_norm": "model.layers.{}.self_attn.k_norm",
    "attn_output": "model.layers.{}.self_attn.o_proj",
    "ffn_norm": "model.layers.{}.post_attention_layernorm",
    "ffn_gate": "model.layers.{}.mlp.gate_proj",
    "ffn_up": "model.layers.{}.mlp.up_proj",
    "ffn_down": "model.layers.{}.mlp.down_proj",
}
GPT_2 = {
    "token_embd": "transformer.wte",
    "position_embd": "transformer.wpe",
    "output_norm": "transformer.ln_f",
    "output": "lm_head",
    "attn_norm": "transformer.h.{}.ln_1",
    "attn_qkv": "transformer.h.{}.attn.c_attn",
    "attn_output": "transformer.h.{}.attn.c_proj",
    "ffn_norm": "transformer.h.{}.ln_2",
    "ffn_up": "transformer.h.{}.mlp.c_fc",
    "ffn_down": "transformer.h.{}.mlp.c_proj",
}
ARCHITECTURES = {"llama": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA, "gpt2": GPT_2}
SETTINGS = {
    "embedding_length": ("hidden_size", "n_embd"),
    "block_count": ("num_hidden_layers", "n_layer"),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon",),
    "rope.freq_base": ("rope_theta",),
    "attention.key_length": ("head_dim",),
    "attention.value_length": ("head_dim",),
}
"""What metadata says of the computation, and what configurations of transformers call it."""

SHOWN = (
    *("vocab_size", "context_length", "feed_forward_length", "rope.dimension_count", "attention.causal"),
    *("rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "tensor_data_layout"),
)
"""What metadata says besides that shapes or the configuration of the model show."""

COMPUTED = "rope_freqs"
"""A table that follows from the configuration."""

MEANING = "llama.cpp may compute something else than the architecture of transformers does"

CONV1D = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def translated(
    layers: tuple[QuantizedLayer, ...], others: dict[str, Tensor], words: Mapping[str, object]
) -> tuple[tuple[QuantizedLayer, ...], dict[str, Tensor]]:
    """Return a file's layers and tensors as transformers names and orders them; those of other files as they are.

    `words` is the file's metadata.
    """
    names = ARCHITECTURES.get(str(words.get("general.architecture")))
    if names is None or not any(_plain(name) for name in (*(f"{layer.name}." for layer in layers), *others)):
        return layers, others
    coded = tuple(_layer(replace(each, name=name_of(each.name, names)), words) for each in layers)
    plain = {name_of(name, names): value for name, value in others.items() if not name.startswith(COMPUTED)}
    return coded, {name: _other(name, value, words) for name, value in plain.items()}


def is_unnamed(layers: tuple[QuantizedLayer, ...], others: Mapping[str, Tensor], words: Mapping[str, object]) -> bool:
    """Say whether a file is llama.cpp's, of an architecture that only the model which it is for can name."""
    known = str(words.get("general.architecture")) in ARCHITECTURES
    return not known and any(_plain(name) for name in (*(f"{layer.name}." for layer in layers), *others))


def settings_of(words: Mapping[str, object]) -> dict[str, float]:
    """Return what metadata says of the computation of a model, by the names of transformers' configurations.

    Raises `UserError` for a word of a known architecture that is not understood: it may change what is computed.
    """
    kind = str(words.get("general.architecture"))
    if kind not in ARCHITECTURES:
        return {}
    own = {name.removeprefix(f"{kind}."): value for name, value in words.items() if name.startswith(f"{kind}.")}
    for name, value in own.items():
        require(name in SETTINGS or name in SHOWN, f"{kind}.{name} = {value!r} is not understood", hint=MEANING)
        single = name not in SETTINGS or isinstance(value, int | float)
        require(single, f"{kind}.{name} is {value!r}, another for each layer, which is not understood", hint=MEANING)
    require(own.get("attention.causal", True), f"{kind}.attention.causal = False is not understood", hint=MEANING)
    return {
        theirs: float(value)
        for name, value in own.items()
        for theirs in SETTINGS.get(name, ())
        if isinstance(value, int | float)
    }


def name_of(name: str, names: Mapping[str, str]) -> str:
    """Return what transformers calls a tensor or a layer; a name that is not known stays.

    >>> name_of("blk.3.attn_q.weight", LLAMA), name_of("token_embd", GPT_2)
    ('model.layers.3.self_attn.q_proj.weight', 'transformer.wte')
    """
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+?)(\.weight|\.bias)?", name)
    if match is None or match[2] not in names:
        return name
    return names[match[2]].format(match[1]) + (match[3] or "")


def _plain(name: str) -> bool:
    return name.startswith(("token_embd.", "output_norm.", "blk."))


def _layer(layer: QuantizedLayer, words: Mapping[str, object]) -> QuantizedLayer:
    order = _order(layer.name, len(layer.codes), words)
    if order is None:
        return layer
    parts = {part: getattr(layer, part) for part in ("codes", "scale", "zero_point", "offset")}
    return replace(layer, **{part: value[order] for part, value in parts.items() if value is not None})


def _other(name: str, value: Tensor, words: Mapping[str, object]) -> Tensor:
    if value.ndim == 2 and name.removesuffix(".weight").endswith(CONV1D):
        return value.T.contiguous()
    order = _order(name, len(value), words)
    return value if order is None else value[order]


def _order(name: str, rows: int, words: Mapping[str, object]) -> Tensor | None:
    """Return which row of the file each row of Llama's queries or keys is; None for what is in order."""
    match = re.search(r"\.self_attn\.([qk])_proj", name)
    if match is None or words["general.architecture"] != "llama":
        return None
    queries = words.get("llama.attention.head_count")
    heads = queries if match[1] == "q" else words.get("llama.attention.head_count_kv", queries)
    fits = isinstance(heads, int) and heads > 0 and rows % (2 * heads) == 0
    require(fits, f"{name}: {rows} rows do not belong to {heads} heads")
    return torch.arange(rows).reshape(int(str(heads)), -1, 2).transpose(1, 2).reshape(-1)
