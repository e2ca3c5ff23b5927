"""Claims about the controls: each notices what it is there to notice."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.analysis import AnalysisSettings, controls
from quantmis.audit.settings import Models, attacks_of
from quantmis.data import complementary_halves
from quantmis.data.canaries import with_canaries
from quantmis.gate.judge import judge
from quantmis.gate.policy import Policy
from quantmis.models import CrossEntropy
from quantmis.report.decision import decision
from quantmis.stats import Estimate
from quantmis.tables import LossTable, VersionTraits
from quantmis.testing import leaky_table


def settings(**changes: object) -> AnalysisSettings:
    attacks = attacks_of(None, Models(16, 16), CrossEntropy())
    return AnalysisSettings(**{"attacks": attacks, "shadows": 16, "replicates": 16, "seed": 0, "level": 0.95} | changes)


def table(evidence: qm.Evidence, name: str = "identity") -> LossTable:
    traits = (VersionTraits("f", 32.0, 0.0, 1, []),) * evidence.models
    everything = np.ones(evidence.samples, dtype=bool)
    return LossTable(name, evidence, np.ones_like(evidence.losses), None, "accuracy", traits, everything, ~everything)


def trained(fingerprints: str) -> LossTable:
    traits = tuple(VersionTraits(each, 32.0, 0.0, 1, []) for each in fingerprints)
    return replace(table(leaky_table(models=len(fingerprints), samples=40)), traits=traits)


@pytest.mark.parametrize(("fingerprints", "passed"), [("abcd", True), ("abca", False), ("aaaa", False)])
def test_as_many_trainings_must_end_in_as_many_models(fingerprints: str, passed: bool):
    [control] = controls.different_trainings(trained(fingerprints))
    assert control.passed is passed
    assert control.found == Estimate(*[len(set(fingerprints))] * 3, 0.999)
    assert control.expected.startswith("4:")


def shared(model: nn.Module, samples: qm.Samples, generator: torch.Generator) -> nn.Module:
    """Train one model of the module, as a recipe that forgot its argument does."""
    return SHARED


SHARED = nn.Linear(64, 10)


def test_a_recipe_that_returns_one_model_for_all_fails_the_audit(digits: qm.Samples):
    task = qm.Task(lambda: nn.Linear(64, 10), recipe=shared)
    result = qm.audit(task, digits, quantizers=["sign"], depth="indicator", progress=False)
    assert [each.passed for each in result.document.controls if each.name == "different trained models"] == [False]
    assert "none can be named" in str(decision(result.document))
    policy = Policy.model_validate({"limits": {"attack_accuracy_at_most": 0.9}})
    verdicts = judge(result.document, policy, datetime.now(UTC)).verdicts
    assert [each.within for each in verdicts if each.limit == "evidence.failed_controls_at_most"] == [False]


def test_shuffled_membership_passes_on_a_table_that_leaks():
    found = controls.shuffled_membership(table(leaky_table(samples=400)), settings())
    assert [control.passed for control in found] == [True] * len(settings().attacks)


def test_shuffled_membership_fails_where_an_attack_knows_too_much(monkeypatch: pytest.MonkeyPatch):
    cheating = qm.attacks.LossThreshold()
    monkeypatch.setattr(type(cheating), "compute", lambda self, target, reference: target.member * 1.0)
    found = controls.shuffled_membership(table(leaky_table(samples=400)), settings(attacks=(cheating,)))
    assert [control.passed for control in found] == [False]


def test_a_planted_leak_is_found_by_every_attack_in_a_table_that_does_not_leak():
    found = controls.planted_leak(table(leaky_table(leak=0.0, samples=400)), settings())
    assert [control.passed for control in found] == [True] * len(settings().attacks)


def test_a_planted_leak_fails_where_an_attack_is_blind(monkeypatch: pytest.MonkeyPatch):
    blind = qm.attacks.LossThreshold()
    monkeypatch.setattr(type(blind), "compute", lambda self, target, reference: np.zeros(target.losses.shape))
    found = controls.planted_leak(table(leaky_table(samples=400)), settings(attacks=(blind,)))
    assert [control.passed for control in found] == [False]


class Wide(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


@pytest.mark.slow
def test_canaries_are_found_and_kept_out_of_every_other_number(digits: qm.Samples):
    task = qm.Task(Wide, recipe=qm.Recipe(epochs=40, learning_rate=3e-3))
    few = digits.take(np.arange(400))
    result = qm.audit(task, few, quantizers=["sign"], shadows=16, canaries=20, progress=False)
    found = [control for control in result.document.controls if control.name.startswith("canaries")]
    assert [(control.version, control.passed) for control in found] == [("identity", True), ("sign", None)]
    assert isinstance(found[0].found, Estimate)
    assert found[0].found.value > 0.9
    assert result.document.data.samples + result.document.data.held_out == 400
    assert not any(finding.code == "QM001" for finding in result.document.warnings)


@pytest.mark.slow
def test_every_quantizer_is_compared_with_noise_of_its_size(digits: qm.Samples):
    few = digits.take(np.arange(200))
    asked = ["sign", "uniform(bits=8)"]
    result = qm.audit(qm.Task(Wide, recipe=qm.Recipe(epochs=2)), few, quantizers=asked, shadows=8, progress=False)
    found = [control for control in result.document.controls if control.name.startswith("matched noise")]
    assert [(control.version, control.passed) for control in found] == [(name, None) for name in asked]
    assert list(result.versions) == ["identity", *asked]


@pytest.mark.slow
def test_a_failed_control_is_the_first_finding(digits: qm.Samples, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(controls, "FOUND", 1.1)
    few = digits.take(np.arange(200))
    result = qm.audit(qm.Task(Wide, recipe=qm.Recipe(epochs=1)), few, quantizers=[], shadows=8, progress=False)
    assert result.document.warnings[0].code == "QM001"


def test_canaries_carry_the_targets_of_others(digits: qm.Samples, rng: np.random.Generator):
    planted = with_canaries(digits, 100, rng).samples
    assert (planted.x[: len(digits)] == digits.x).all()
    for x, y in zip(planted.x[len(digits) :], planted.y[len(digits) :], strict=True):
        assert y not in digits.y[(digits.x == x).all(1)]


@pytest.mark.parametrize("number", [3, -2, 10_000])
def test_canaries_that_cannot_be_planted_are_refused(digits: qm.Samples, number: int):
    with pytest.raises(qm.UserError, match="canaries"):
        qm.audit(qm.Task(Wide), digits, canaries=number, progress=False)


def test_targets_that_are_all_the_same_make_no_canaries(rng: np.random.Generator):
    with pytest.raises(qm.UserError, match="targets hardly differ"):
        with_canaries(qm.Samples(np.zeros((40, 2)), np.zeros(40, dtype=int)), 4, rng)


def test_another_plan_shares_nothing_with_the_first():
    member = complementary_halves(16, 400, np.random.default_rng(0))
    other = complementary_halves(16, 400, np.random.default_rng(1))
    assert abs((member == other).mean() - 0.5) < 0.05


@pytest.mark.slow
def test_models_that_did_not_learn_are_called_so(digits: qm.Samples):
    task = qm.Task(Wide, recipe=lambda model, samples, generator: model)
    result = qm.audit(task, digits.take(np.arange(200)), quantizers=[], shadows=8, progress=False)
    codes = [finding.code for finding in result.document.warnings]
    assert "QM010" in codes
    assert "QM009" in codes


@pytest.mark.slow
def test_a_ranking_prints_a_line_per_quantizer(digits: qm.Samples):
    task = qm.Task(Wide, recipe=qm.Recipe(epochs=1))
    result = qm.audit(task, digits.take(np.arange(200)), quantizers=["sign"], shadows=8, progress=False)
    assert [line.split()[1] for line in str(result.ranking).splitlines()] == [row.name for row in result.ranking.rows]
