"""The channel of every version of an audit: rho, what passes, and the advantage that is predicted from them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.measures.channel_correlation import NOT_PERTURBED
from quantmis.measures.passing import combined, rank_correlation
from quantmis.quantizers.perturbing import perturbed
from quantmis.stats import Estimate, Unmeasured

NAMES = ["uniform(bits=4)", "uniform(bits=2)", "stochastic_rounding(bits=2)", "gptq(bits=2)"]


def wide() -> nn.Module:
    """Return a perceptron."""
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))


@pytest.fixture(scope="module")
def digits() -> qm.Samples:
    x, y = load_digits(return_X_y=True)
    return qm.Samples(x[:700] / 16, y[:700])


@pytest.fixture(scope="module")
def trained(digits: qm.Samples, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("channel")
    task = qm.Task(wide, recipe=qm.Recipe(epochs=15))
    return qm.audit(task, digits, quantizers=NAMES, shadows=0, replicates=4, out=out, progress=False), out


@pytest.fixture(scope="module")
def shipped(digits: qm.Samples):
    torch.manual_seed(0)
    model = wide()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    x, y = torch.tensor(np.asarray(digits.x), dtype=torch.float32), torch.tensor(np.asarray(digits.y))
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[:350]), y[:350]).backward()
        optimizer.step()
    elsewhere = qm.Version(wide())
    target = qm.Target(model, members=range(350), non_members=range(350, 700), versions={"elsewhere": elsewhere})
    return qm.audit(qm.Task(wide), digits, quantizers=NAMES, target=target, progress=False)


@pytest.mark.slow
def test_an_audit_of_trainings_measures_the_channel_of_every_version(trained):
    result, _ = trained
    rho = {each.name: each["channel_correlation"] for each in result.document.versions}
    assert rho["identity"].value == pytest.approx(1.0)
    assert all(isinstance(each, Estimate) for each in rho.values())
    assert rho["uniform(bits=4)"].low > rho["uniform(bits=2)"].high
    passing = {each.name: each["passing"] for each in result.document.versions}
    assert passing["uniform(bits=4)"] > passing["uniform(bits=2)"] > passing["stochastic_rounding(bits=2)"]


def test_rho_is_the_correlation_of_what_trainings_change_on_samples_that_none_was_trained_on(trained):
    result, out = trained
    whole, after = (np.load(out / each.table) for each in result.document.versions[:3:2])
    unseen = ~whole["member"].any(axis=0)
    changes = [(each["signal"] - each["signal"].mean(0))[:, unseen].ravel() for each in (whole, after)]
    [plain] = np.corrcoef(changes)[:1, 1]
    rho = result.versions["uniform(bits=2)"]["channel_correlation"]
    assert abs(rho.value - plain) < 0.15


def test_the_advantage_is_predicted_with_what_it_was_predicted_from(trained):
    predicted = [each["predicted_advantage"] for each in trained[0].document.versions]
    assert all(isinstance(each, Estimate) and "by twins, 4 trainings" in each.method for each in predicted)
    assert predicted[0].value > predicted[2].value > 0
    assert predicted[0].high - predicted[0].low > 0.08


@pytest.mark.slow
def test_one_shipped_model_has_a_channel_by_noise_on_its_weights(shipped):
    records = shipped.versions
    rho = {name: records[name]["channel_correlation"] for name in ("identity", *NAMES)}
    assert rho["identity"].value == pytest.approx(1.0)
    assert rho["uniform(bits=4)"].low > rho["stochastic_rounding(bits=2)"].high
    predicted = records["uniform(bits=4)"]["predicted_advantage"]
    assert "attack on this model alone, 0 trainings" in predicted.method


def test_a_version_that_was_made_elsewhere_says_why_it_has_no_channel(shipped):
    assert shipped.versions["elsewhere"]["channel_correlation"] == Unmeasured(NOT_PERTURBED)
    assert shipped.versions["elsewhere"]["predicted_advantage"] == Unmeasured(NOT_PERTURBED)


def test_perturbing_leaves_the_model_and_its_biases_as_they_were_and_moves_each_layer_by_its_own_size():
    model = nn.Sequential(nn.Linear(80, 60), nn.Linear(60, 40))
    with torch.no_grad():
        model[1].weight.mul_(100)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    noisy = perturbed(model, torch.Generator().manual_seed(0))
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert torch.equal(noisy[0].bias, model[0].bias)
    for old, new in zip(model, noisy, strict=True):
        assert 0.9 < float((new.weight - old.weight).detach().std() / old.weight.detach().std()) < 1.1
    again = perturbed(model, torch.Generator().manual_seed(0))
    assert torch.equal(again[1].weight, noisy[1].weight)


def test_the_two_correlations_are_averaged_on_the_scale_of_fisher():
    assert combined(0.8, 0.8) == pytest.approx(0.8)
    assert combined(0.9, -0.5) == pytest.approx(np.tanh((np.arctanh(0.9) + np.arctanh(0.5)) / 2))
    assert combined(1.0, 1.0) == pytest.approx(0.999)


def test_moving_whole_classes_changes_no_order_within_them():
    stream = np.random.default_rng(0)
    classes, losses = stream.integers(4, size=800), stream.random(800)
    moved = losses + np.array([0, 10, 20, 30])[classes]
    within = rank_correlation(losses, moved, classes)
    assert within > 0.95 > abs(rank_correlation(losses, moved, np.zeros(800, dtype=int)))
    assert rank_correlation(losses, np.ones(800), classes) == 0
