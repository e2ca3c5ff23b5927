"""Whatever is given them, quantizers, losses, recipes, the gate and the model card keep their word."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from documents import document
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from quantmis import gate
from quantmis.documents import Source, merge_into_card
from quantmis.errors import UserError
from quantmis.gate.policy import parse
from quantmis.models import CrossEntropy, MultiLabel, Recipe, SquaredError
from quantmis.quantizers import QUANTIZERS, Quantized
from quantmis.report.terminal import verdict_lines

FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
NATIVE = [
    "identity",
    "sign",
    "ternary(sparsity=0.5)",
    'ternary(sparsity=0.9, per="channel", group_size=3)',
    "uniform(bits=3)",
    'uniform(bits=2, per="channel", range="max", symmetric=False)',
    'uniform(bits=4, range="percentile")',
    "normal_float(bits=3)",
    "k_means(bits=2)",
    "stochastic_rounding(bits=2)",
    "matched_noise(of=sign)",
    "gptq(bits=2)",
    'gptq(bits=4, per="channel", group_size=4)',
    "obq(bits=3)",
    "adaround(bits=2, iterations=5)",
    "brecq(bits=2, iterations=5)",
]
INPUTS = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 6))).float()
ODD = st.sampled_from([0.0, -0.0, 1e-38, -1e-30, 1e-8, 1.0, 3.4e4, -1e20])
WEIGHTS = arrays(np.float32, (5, 6), elements=st.one_of(st.floats(-2, 2, width=32), ODD.map(np.float32)))


def model_of(weight: np.ndarray) -> nn.Module:
    layer = nn.Linear(6, 5)
    layer.weight.data = torch.from_numpy(weight.copy())
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", NATIVE)
@FEW
@given(WEIGHTS, st.integers(0, 99))
def test_any_weights_are_quantized_to_finite_levels_or_refused(name: str, weight: np.ndarray, seed: int):
    quantizer, model = QUANTIZERS.parse(name), model_of(weight)
    try:
        first, again = (quantizer.quantize(model, INPUTS, torch.Generator().manual_seed(seed)) for _ in range(2))
    except UserError:
        return
    assert first.fingerprint == again.fingerprint
    assert all(bool(torch.isfinite(each).all()) for each in first.model.parameters())
    _adds_up(first)


def _adds_up(found: Quantized):
    for layer in found.layers:
        assert layer.levels_used <= layer.levels
        assert torch.equal(found.model.get_parameter(f"{layer.name}.weight"), layer.dequantize())
    assert 0 <= found.sparsity <= 1
    assert found.bits_per_weight > 0


OUTPUTS = arrays(np.float64, (6, 4), elements=st.floats(-60, 60))
LABELS = arrays(np.int64, 6, elements=st.integers(0, 3))


@MANY
@given(OUTPUTS, LABELS)
def test_cross_entropy_agrees_with_torch_and_its_signal_falls_as_the_loss_rises(outputs: np.ndarray, label: np.ndarray):
    logits, y, loss = torch.from_numpy(outputs), torch.from_numpy(label), CrossEntropy()
    found, signal = loss.losses(logits, y), loss.signals(logits, y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(logits, y, reduction="none"))
    torch.testing.assert_close(found, nn.functional.softplus(-signal), rtol=1e-6, atol=1e-12)
    entropy = loss.entropy(logits, y)
    assert entropy is not None
    assert bool(torch.isfinite(entropy).all())
    assert bool((entropy >= -1e-9).all())
    assert set(loss.per_sample_utility(logits, y).tolist()) <= {0.0, 1.0}


@MANY
@given(OUTPUTS, arrays(np.int64, (6, 4), elements=st.integers(0, 1)))
def test_several_labels_agree_with_torch(outputs: np.ndarray, label: np.ndarray):
    logits, loss = torch.from_numpy(outputs), MultiLabel()
    y = loss.targets(label)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, y.double(), reduction="none").mean(1)
    torch.testing.assert_close(loss.losses(logits, y), expected)
    assert bool(((loss.per_sample_utility(logits, y) >= 0) & (loss.per_sample_utility(logits, y) <= 1)).all())


@MANY
@given(
    arrays(np.float64, (6, 2), elements=st.floats(-1e3, 1e3)), arrays(np.float64, (6, 2), elements=st.floats(-1e3, 1e3))
)
def test_squared_errors_are_never_negative_and_order_as_signals_do(outputs: np.ndarray, target: np.ndarray):
    loss = SquaredError()
    predicted, y = torch.from_numpy(outputs), loss.targets(target).double()
    found, signal = loss.losses(predicted, y), loss.signals(predicted, y)
    assert bool((found >= 0).all())
    assert _alike(found, -signal)


def _alike(first: Tensor, second: Tensor) -> bool:
    """Return whether no two samples are ordered one way by the one and the other way by the other."""
    one, other = (each[:, None] - each[None] for each in (first, second))
    return bool((one * other >= -1e-9).all())


@MANY
@given(
    epochs=st.integers(-2, 50),
    batch_size=st.integers(-2, 50),
    learning_rate=st.floats(),
    momentum=st.floats(),
    weight_decay=st.floats(),
    warmup_steps=st.integers(-2, 50),
    schedule=st.sampled_from(["constant", "cosine", "linear"]),
    max_steps=st.none() | st.integers(-1, 99),
    samples=st.integers(1, 200),
)
def test_a_recipe_is_refused_or_has_steps_and_rates_within_bounds(samples: int, **asked):
    try:
        recipe = Recipe(**asked)
    except UserError:
        return
    steps = recipe.steps(samples)
    assert 1 <= steps <= recipe.epochs * samples
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = recipe.optimizer_over([parameter])
    schedule = recipe.schedule_of(optimizer, steps)
    for _ in range(steps):
        assert 0 <= optimizer.param_groups[0]["lr"] <= recipe.learning_rate * (1 + 1e-9)
        optimizer.step()
        schedule.step()


SHARES = st.floats(0, 1)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "attack_accuracy_at_most": st.floats(0.5, 1),
        "security_upper_bound_at_least": SHARES,
        "attack_accuracy_change_at_most": st.floats(-1, 1),
        "epsilon_lower_bound_at_most": st.floats(0, 10),
    },
)


@FEW
@given(LIMITS.filter(bool), st.floats(0, 4), SHARES)
def test_a_judgement_is_within_where_every_verdict_is_and_stricter_limits_never_help(
    limits: dict[str, float], strength: float, utility: float
):
    audit = document({"identity": 4.0, "sign": strength}, {"identity": 0.9, "sign": utility})
    text = "[limits]\n" + "".join(f"{name} = {value!r}\n" for name, value in limits.items())
    found = gate.judge(audit, parse(text.encode()), datetime.now(UTC))
    assert found.within == all(each.within for each in found.verdicts)
    strictest = {
        "attack_accuracy_at_most": 0.5,
        "security_upper_bound_at_least": 1.0,
        "attack_accuracy_change_at_most": -1.0,
        "epsilon_lower_bound_at_most": 0.0,
    }
    strict = "[limits]\n" + "".join(f"{name} = {strictest[name]}\n" for name in limits)
    assert found.within or not gate.judge(audit, parse(strict.encode()), datetime.now(UTC)).within
    assert all(line.strip() for line in verdict_lines(audit))


@pytest.mark.slow
@MANY
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.sampled_from(["", "---\nlicense: mit\n---\n"])
)
@example("\r", "")
def test_a_card_keeps_its_text_and_takes_the_section_once(
    tmp_path_factory: pytest.TempPathFactory, text: str, head: str
):
    path = tmp_path_factory.mktemp("card") / "README.md"
    before = (head + text).encode()
    path.write_bytes(before)
    source = Source(document({"identity": 1.0, "sign": 0.3}, {"identity": 0.9, "sign": 0.8}), "0" * 64)
    once = _merged(path, source)
    if once is not None:
        assert once.startswith(before)
        path.write_bytes(once)
        assert _merged(path, source) == once


def _merged(path: Path, source: Source) -> bytes | None:
    try:
        return merge_into_card(path, source)
    except UserError:
        return None
