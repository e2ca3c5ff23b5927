"""Every quantizer works on tied weights, encoder layers and tiny language models, or says why it cannot."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import quantmis as qm
from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.quantizers.probe import require_computes

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {"vocab_size": 96}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
GPT_2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 1, "n_head": 4, "n_positions": 32}


class Encoder(nn.Sequential):
    """An encoder layer, whose fast path reads the weights of its parts."""

    def __init__(self):
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        super().__init__(nn.TransformerEncoder(layer, 1), nn.Flatten(), nn.Linear(384, 3))


class Tied(nn.Module):
    """A head that shares its weight with an embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.embedding(x).mean(1)))


def normalised() -> nn.Module:
    """Return a convolution whose batch normalisation would follow the calibration inputs if it were let."""
    return nn.Sequential(nn.Conv2d(4, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 3))


def texts() -> Tensor:
    tokens = torch.randint(0, 96, (8, 10), generator=torch.Generator().manual_seed(1))
    tokens[2, 6:] = tokens[5, 4:] = -1
    return tokens


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "encoder": (Encoder, lambda: torch.randn(8, 6, 64, generator=torch.Generator().manual_seed(1))),
    "tied": (Tied, lambda: torch.randint(0, 64, (8, 5), generator=torch.Generator().manual_seed(1))),
    "batch norm": (normalised, lambda: torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(1))),
    "llama": (lambda: qm.Task.causal_lm(config=SMALL | LLAMA).build(0), texts),
    "gpt2": (lambda: qm.Task.causal_lm(config=SMALL | GPT_2).build(0), texts),
}
LAYERS = 'blocks="*_proj, *.c_*, *head*", iterations=5'
EVERY = [
    *("uniform(bits=4)", "matched_noise(of=sign)", "mixed(of=sign, at=uniform(bits=8))", "gptq(bits=3)"),
    *("adaround(bits=3, iterations=5)", "brecq(bits=3, iterations=5)", "torchao.intx(bits=4)", "torchao.int8_dynamic"),
    *("bitsandbytes.linear4bit", "bitsandbytes.linear8bit", "brevitas(bits=4)", "hqq(bits=4)", "gguf"),
    *("onnx.dynamic", "onnx.static", "onnx.matmul_nbits", "matched_noise(of=torchao.int8_dynamic)"),
]
REFUSED = {
    ("tied", "onnx.static"): "does not run",
    ("llama", "brecq(bits=3, iterations=5)"): "the block 'model' must take and return tensors",
    ("gpt2", "brecq(bits=3, iterations=5)"): "the block 'transformer' must take and return tensors",
}


def made(quantizer: Quantizer, kind: str) -> list[str]:
    build, inputs = MODELS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = build(), inputs()
    calibration = x if needs_calibration(quantizer) else None
    found = quantizer.quantize(model, calibration, torch.Generator().manual_seed(0))
    require_computes(quantizer.name, model, found, x)
    return [layer.name for layer in found.layers]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("spelled", EVERY)
def test_it_works_or_says_why_it_cannot(kind: str, spelled: str):
    quantizer, reason = QUANTIZERS.parse(spelled), REFUSED.get((kind, spelled))
    if reason is None:
        names = made(quantizer, kind)
        assert len(set(names)) == len(names)
        assert names or not quantizer.has_codes
    else:
        with pytest.raises(UserError, match=reason):
            made(quantizer, kind)


@pytest.mark.slow
@pytest.mark.parametrize("fisher", [True, False])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_brecq_takes_the_layers_of_a_language_model_as_blocks(kind: str, fisher: bool):
    assert "lm_head" in str(made(QUANTIZERS.parse(f"brecq(bits=3, fisher={fisher}, {LAYERS})"), kind)) or kind == "gpt2"


def test_a_model_of_half_precision_is_refused_by_onnx_runtime_with_the_remedy():
    model = nn.Sequential(nn.Linear(8, 4)).bfloat16()
    with pytest.raises(UserError, match=r"computes no torch\.bfloat16") as refused:
        QUANTIZERS.parse("onnx.dynamic").quantize(model, torch.ones(8, 8).bfloat16())
    assert "model.float()" in str(refused.value.hint)
    half = QUANTIZERS.parse("hqq(bits=4, group_size=8)").quantize(model)
    require_computes("hqq", model, half, torch.ones(8, 8).bfloat16())


def test_a_group_size_of_nothing_is_refused():
    with pytest.raises(UserError, match="group_size must be at least 1, got 0"):
        QUANTIZERS.parse("torchao.intx(bits=4, group_size=0)")
