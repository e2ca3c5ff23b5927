"""Every causal architecture of transformers that builds in small: a text alone gives the numbers of any batch.

An architecture that is new to the installed version of the library is tried like the others. Where it cannot be built
from the sizes below, it belongs into `OWN`, with those that it asks for, or into `LEFT_OUT`, with the reason.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from quantmis.errors import UserError
from quantmis.models import Task
from quantmis.models.probes import require_sound
from quantmis.models.rows import forward

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of other libraries, about themselves


def sizes(number: int | float, *names: str) -> dict[str, Any]:
    return dict.fromkeys([each for name in names for each in name.split()], number)


SMALL: dict[str, Any] = {
    **sizes(16, "hidden_size d_model n_embd dim embedding_size word_embed_proj_dim"),
    **sizes(16, "moe_intermediate_size shared_expert_intermediate_size"),
    **sizes(32, "intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim d_ff n_inner ffn_hidden_size"),
    **sizes(2, "num_hidden_layers num_layers n_layer n_layers decoder_layers encoder_layers moe_k num_experts_per_tok"),
    **sizes(2, "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads"),
    **sizes(2, "attention_heads num_key_value_heads num_kv_heads"),
    **sizes(8, "head_dim kv_lora_rank q_lora_rank v_head_dim"),
    **sizes(4, "num_experts num_local_experts n_routed_experts state_size mamba_d_state conv_kernel rotary_dim"),
    **sizes(4, "sliding_window attention_window local_attention_window qk_rope_head_dim qk_nope_head_dim"),
    **sizes(1, "n_group topk_group n_shared_experts"),
    **sizes(40, "vocab_size max_position_embeddings n_positions n_ctx context_length max_seq_len"),
    **sizes(0.0, "dropout attention_dropout activation_dropout attn_pdrop embd_pdrop resid_pdrop"),
    **sizes(0.0, "hidden_dropout_prob attention_probs_dropout_prob"),
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "is_decoder": True,
}
HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
CONVOLUTION = {"layer_types": ["conv", "full_attention"]}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1}
LATENT = {"head_dim": 4}
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "kimi_linear", "bailing_hybrid"), HYBRID),
    **dict.fromkeys(("lfm2_moe", "lfm3"), CONVOLUTION),
    **dict.fromkeys(("axk1", "deepseek_v3", "longcat_flash", "youtu"), LATENT),
    "bamba": {**MAMBA, "attn_layer_indices": [1]},
    "codegen": {"num_attention_heads": 4, "rotary_dim": 4},
    "gemma4_text": {"vocab_size_per_layer_input": 40, "hidden_size_per_layer_input": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {**MAMBA, "layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "mamba2": {"num_heads": 4, "head_dim": 8, "n_groups": 1},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {"axial_pos_embds": False},
    "xmod": {"default_language": "en_XX"},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 4, "mamba_ngroups": 1},
}
SEVERAL = "reads images or sounds too: its parts have configurations of their own, and those of text are tried"
BY_BYTES = "reads bytes, in patches of a model of its own"
CACHES = "the layers that share a cache must be named one by one"
LEFT_OUT = {
    **dict.fromkeys(("dots3_note", "emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_unified", "git"), SEVERAL),
    **dict.fromkeys(("got_ocr2", "llama4", "mllama", "moss_transcribe_diarize", "phi4_multimodal"), SEVERAL),
    **dict.fromkeys(("musicgen", "musicgen_melody", "qwen3_5", "qwen3_5_moe", "qwen4_exp"), SEVERAL),
    **dict.fromkeys(("gemma3n_text", "gemma4_assistant", "gemma4_unified_assistant", "qwen4_exp_text"), CACHES),
    "blt": BY_BYTES,
    "cohere_compass_text": "its rotary embedding fails on any layer type but its own default",
    "dbrx": "its configuration of attention is an object that has no rotary base",
    "mimo_v2_flash": "its heads of sliding attention have sizes that cannot be set",
    "roc_bert": "its embeddings of shapes and sounds are of 13 million numbers",
    "xlstm": "its cells have a size that cannot be set",
    "zamba": "its layers are at least three kinds of a fixed order",
    "zaya": "takes one expert for a token alone, and layers of a fixed order",
}
REFUSED = {
    "cpmant": "beside other samples",
    "prophetnet": "beside other samples",
    "xlm": "a later token changes what it predicts before",
    "xlnet": "beside other samples|a later token changes",
}
TRIED = sorted({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES} - {*LEFT_OUT})


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products as small as these take ten times as long where threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(kind: str) -> Task:
    default = transformers.AutoConfig.for_model(kind)
    known = {*default.to_dict(), *default.attribute_map}
    own = {name: each for name, each in SMALL.items() if name in known} | OWN.get(kind, {})
    return Task.causal_lm(config={"model_type": kind} | own)


def texts(number: int = 8, longest: int = 20) -> torch.Tensor:
    """Texts of 3 to `longest` tokens, filled up with -1."""
    draw = np.random.default_rng(0)
    table = np.full((number, longest), -1)
    for row in table:
        length = draw.integers(3, longest + 1)
        row[:length] = draw.integers(3, 40, length)
    return torch.from_numpy(table)


@pytest.mark.parametrize("kind", [kind for kind in TRIED if kind not in REFUSED])
def test_a_text_alone_gives_the_numbers_of_any_batch(kind: str):
    """Against other batches, and against the logits of the library's own model for each text by itself."""
    task, x = built(kind), texts()
    module = task.build(0).eval()
    assert sum(each.numel() for each in module.parameters()) < 3_000_000
    together = forward(module, x)
    for size in (1, 3):
        found = forward(module, x, size)
        torch.testing.assert_close(found[:, 0], together[:, 0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found, together, atol=1e-5, rtol=1e-3)
    plain = type(module)(module.config).eval()
    plain.load_state_dict(module.state_dict())
    for row, text in enumerate(x):
        own = text[text >= 0][None]
        with torch.no_grad():
            log_p = plain(input_ids=own).logits[0].double().log_softmax(-1)
        expected = -log_p[:-1].gather(1, own[0, 1:, None]).mean()
        torch.testing.assert_close(together[row, 0].double(), expected, atol=1e-5, rtol=1e-5)
    require_sound("the model", module, task, x)


@pytest.mark.parametrize("kind", REFUSED)
def test_an_architecture_that_breaks_an_assumption_is_refused(kind: str):
    task = built(kind)
    with pytest.raises(UserError, match=REFUSED[kind]):
        require_sound("the model", task.build(0).eval(), task, texts())
