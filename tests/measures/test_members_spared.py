"""Versions of trained models that spare members contradict the channel; versions that only look otherwise do not."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.analysis.data_findings import spares_members
from quantmis.evidence import Evidence
from quantmis.measures.predicted_advantage import predicted_advantage
from quantmis.measures.scored import Precision, ScoredVersion
from quantmis.stats import Bound, Unmeasured
from quantmis.tables import LossTable

HONEST = ["uniform(bits=4)", "uniform(bits=2)", "sign", "ternary(sparsity=0.5)", "matched_noise(of=sign)"]
NO_BOUND = Bound(Unmeasured("no attack"), "")


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory):
    """Return the signals of every version of four trainings, and who was trained on what."""
    x, y = load_digits(return_X_y=True)
    out = tmp_path_factory.mktemp("spared")
    task = qm.Task(wide, recipe=qm.Recipe(epochs=30))
    result = qm.audit(
        task,
        qm.Samples(x[:1200] / 16, y[:1200]),
        quantizers=HONEST,
        shadows=0,
        replicates=4,
        attacks=["paired_replicates"],
        out=out,
        progress=False,
    )
    tables = {each.name: np.load(out / each.table) for each in result.document.versions}
    member = tables["identity"]["member"]
    return {name: table["signal"].astype(float) for name, table in tables.items()}, member, y[:1200]


def scored(signal, member, label, whole=None):
    evidence = Evidence(np.logaddexp(0.0, -signal), member, signal=signal, label=label)
    audited = member.any(axis=0)
    name = "identity" if whole is None else "changed"
    table = LossTable(name, evidence, None, None, "accuracy", (), audited, ~audited)
    return ScoredVersion(table, {}, {}, NO_BOUND, "lira", Precision(0.95), whole)


def is_raised(versions, changed):
    signals, member, label = versions
    whole = scored(signals["identity"], member, label)
    version = scored(changed, member, label, whole)
    return spares_members(version, predicted_advantage(version))


def noise(versions, of_members):
    """Return full precision with noise on signals, `of_members` times as large on members'."""
    signals, member, _ = versions
    whole = signals["identity"]
    size = 3 * (whole - whole.mean(axis=0)).std()
    draws = size * np.random.default_rng(0).normal(size=whole.shape)
    return whole + draws * np.where(member, of_members, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("of_members", [0.0, 0.2])
def test_noise_that_spares_members_is_found(versions, of_members: float):
    assert is_raised(versions, noise(versions, of_members))


@pytest.mark.slow
def test_noise_that_falls_on_all_alike_is_not(versions):
    assert not is_raised(versions, noise(versions, of_members=1.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", HONEST)
def test_honest_quantizers_are_not_accused(versions, name: str):
    assert not is_raised(versions, versions[0][name])


@pytest.mark.slow
def test_classes_that_are_moved_or_scaled_and_signals_that_are_shrunk_are_not_accused(versions):
    signals, _, label = versions
    whole, draws = signals["identity"], np.random.default_rng(1).normal(size=10)
    for changed in (whole + 3 * draws[label], whole * np.exp(0.5 * draws[label]), 0.3 * whole):
        assert not is_raised(versions, changed)
