"""The quantizers of other libraries keep every promise too. These tests need all extras, and fail without them."""

import pickle

import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, NormalFloat, Quantizer, Uniform, contract, installed

ADAPTERS = [
    QUANTIZERS.parse(each)
    for each in (
        "torchao.intx(bits=2)",
        "torchao.intx(bits=4, group_size=4, symmetric=False)",
        "torchao.int8_weight_only",
        "torchao.int8_dynamic",
        "bitsandbytes.linear4bit",
        'bitsandbytes.linear4bit(format="fp4")',
        "bitsandbytes.linear8bit",
        "brevitas(bits=3)",
        'brevitas(bits=4, method="gpfq")',
        'brevitas(bits=4, method="qronos")',
        "hqq(bits=4, group_size=16)",
        "hqq(bits=2, group_size=16)",
        "onnx.dynamic",
        'onnx.dynamic(per="channel")',
        "onnx.static",
        'onnx.static(bits=4, per="tensor", range="percentile")',
        "onnx.matmul_nbits(bits=4, group_size=16)",
        "onnx.matmul_nbits(bits=2, group_size=16, symmetric=True)",
    )
]
WIDE = [
    QUANTIZERS.parse(f'gguf(format="{each}")') for each in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0")
]


@pytest.fixture(autouse=True)
def _all_extras():
    missing = {each.extra for each in (*ADAPTERS, *WIDE) if not installed(type(each))}
    assert not missing, f"pip install 'quantmis[{','.join(sorted(missing))}]' first: these tests need every extra"


def test_every_adapter_is_under_contract():
    adapters = {name for name in QUANTIZERS.names() if QUANTIZERS.find(name).extra is not None}
    assert {each.name for each in (*ADAPTERS, *WIDE)} == adapters


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("claim", contract.CLAIMS, ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("quantizer", ADAPTERS, ids=str)
def test_it_keeps_its_promise(quantizer: Quantizer, claim: contract.Claim):
    claim(quantizer)


def wide() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), nn.ReLU(), nn.Linear(10, 3))


@pytest.mark.parametrize("quantizer", WIDE, ids=str)
def test_gguf_quantizes_the_layers_that_its_blocks_divide_and_lists_the_others(quantizer: Quantizer):
    quantized = quantizer.quantize(wide())
    assert [layer.name for layer in quantized.layers] == ["0", "2"]
    assert quantized.untouched == ("4",)
    assert quantized.fingerprint == quantizer.quantize(wide()).fingerprint
    with pytest.raises(UserError, match="left every layer as it was"):
        quantizer.quantize(nn.Linear(10, 3))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("quantizer", ADAPTERS, ids=str)
def test_what_is_recorded_is_what_the_library_dequantizes(quantizer: Quantizer):
    model = nn.Sequential(nn.Linear(64, 48))
    quantized = quantizer.quantize(model, calibration=torch.eye(64))
    layer, computed = quantized.layers[0], quantized.model(torch.eye(64)).detach()
    computed = computed - model[0].bias.detach()
    torch.testing.assert_close(layer.dequantize().T, computed, rtol=2e-2, atol=2e-3)


@pytest.mark.filterwarnings("ignore")
def test_native_codes_are_those_of_the_libraries():
    model = nn.Sequential(nn.Linear(64, 48))

    def codes(spelled: str) -> torch.Tensor:
        return QUANTIZERS.parse(spelled).quantize(model).layers[0].codes

    native = Uniform(bits=4, per="channel", range="max").quantize(model).layers[0].codes
    assert torch.equal(native, codes("torchao.intx(bits=4)"))
    assert torch.equal(NormalFloat().quantize(model).layers[0].codes, codes("bitsandbytes.linear4bit"))


@pytest.mark.slow
def test_onnx_runtime_computes_the_outputs_of_models_that_share_a_graph():
    models = [wide(), wide()]
    for value in models[1].parameters():
        value.data.mul_(2)
    inputs = torch.randn(32, 256, generator=torch.Generator().manual_seed(0))
    for model, found in zip(models, QUANTIZERS.parse("onnx.dynamic").quantize_many(models, inputs), strict=True):
        expected = model(inputs).detach()
        assert (
            found.model(inputs) - expected
        ).norm() < 0.2 * expected.norm()  # without VNNI instructions products saturate
        again = pickle.loads(pickle.dumps(found.model))
        assert torch.equal(again(inputs), found.model(inputs))


@pytest.mark.slow
def test_a_model_that_cannot_be_exported_is_refused():
    class Branching(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x if x.sum() > 0 else -x)

    with pytest.raises(UserError, match="onnxruntime refuses this model"):
        QUANTIZERS.parse("onnx.dynamic").quantize(Branching(4, 4), calibration=torch.eye(4))


def test_a_group_size_that_does_not_divide_the_columns_is_refused():
    with pytest.raises(UserError, match="torchao refuses this model"):
        QUANTIZERS.parse("torchao.intx(bits=4, group_size=7)").quantize(nn.Sequential(nn.Linear(64, 8)))


def test_hqq_leaves_a_layer_whose_groups_do_not_fill_its_bytes():
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    quantized = QUANTIZERS.parse("hqq(bits=4)").quantize(model)  # 320 weights are 5 groups of 64
    assert [layer.name for layer in quantized.layers] == ["0"]
    assert quantized.untouched == ("2",)
