"""Every registered quantizer keeps every promise; a new one is under contract as soon as it is registered."""

import pytest

from quantmis.quantizers import QUANTIZERS, Quantizer, Sign, Uniform, contract
from quantmis.testing import QuantizerContract

NATIVE = [
    QUANTIZERS.parse(each)
    for each in (
        "identity",
        "sign",
        'sign(per="channel")',
        "ternary(sparsity=0.33)",
        'ternary(sparsity=0.9, per="channel", group_size=5)',
        "uniform(bits=2)",
        "uniform(bits=3)",
        "uniform(bits=8)",
        'uniform(bits=4, per="channel")',
        'uniform(bits=4, per="channel", group_size=5)',
        'uniform(bits=4, per="tensor", group_size=7, symmetric=False)',
        'uniform(bits=4, range="max", symmetric=False)',
        'uniform(bits=4, per="channel", range="percentile", percentile=95, narrow=True)',
        "normal_float",
        'normal_float(bits=3, per="channel")',
        "minifloat",
        'minifloat(format="e2m1", group_size=5)',
        "k_means(bits=3)",
        "stochastic_rounding(bits=4)",
        'stochastic_rounding(bits=2, per="channel", group_size=3)',
        "matched_noise(of=sign)",
        'matched_noise(of=uniform(bits=3, per="channel"))',
        'mixed(of=sign, at=uniform(bits=8), layers="last")',
        'mixed(of=uniform(bits=2), at=identity, layers="first, 8")',
        "gptq(bits=3)",
        "gptq(bits=2, group_size=4, act_order=False, symmetric=False)",
        'gptq(bits=4, per="tensor", range="max", narrow=True)',
        "obq(bits=3)",
        "adaround(bits=3, iterations=30)",
        "brecq(bits=3, iterations=10)",
        'brecq(bits=2, group_size=3, symmetric=False, blocks="2, 5", fisher=false, iterations=20)'.replace(
            "false", "False"
        ),
        "protective(iterations=2)",
        'protective(bits=4, through=uniform(bits=2), weight=2.0, gap="discriminator", iterations=2)',
        'mixed(of=gptq(bits=2), at=adaround(bits=4, iterations=20), layers="last")',
        "matched_noise(of=gptq(bits=3))",
    )
]


@pytest.mark.parametrize("claim", contract.CLAIMS, ids=lambda claim: claim.__name__)
@pytest.mark.parametrize("quantizer", NATIVE, ids=str)
def test_it_keeps_its_promise(quantizer: Quantizer, claim: contract.Claim):
    claim(quantizer)


@pytest.mark.slow
def test_another_process_makes_the_same_of_a_model():
    assert contract.fingerprints_elsewhere(NATIVE) == [contract.quantized(each).fingerprint for each in NATIVE]


def test_every_quantizer_of_ours_is_under_contract():
    ours = {name for name in QUANTIZERS.names() if QUANTIZERS.find(name).extra is None}
    assert {each.name for each in NATIVE} == ours


def test_a_promise_that_is_broken_is_noticed():
    class Misnamed(Sign):
        name = "identity"

    with pytest.raises(AssertionError, match="another quantizer"):
        contract.is_written_as_it_is_read(Misnamed())


class TestQuantizerOfAThirdParty(QuantizerContract):
    quantizer = Uniform(bits=6)
