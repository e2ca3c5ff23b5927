"""Claims about what the training guarantees: what inherits it, what it leaves open, and what refutes it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.analysis.certificate_findings import left_open, refuted
from quantmis.analysis.subject import SubjectAnalysis
from quantmis.audit.config import AuditFile, task_of
from quantmis.audit.config.building import fitted_of
from quantmis.audit.config.sections import parsed
from quantmis.data.membership import by_coins, members_each
from quantmis.documents.dpia import QUESTIONS
from quantmis.evidence import Evidence
from quantmis.gate.judge import judge
from quantmis.gate.policy import parse
from quantmis.measures.epsilon_shown import beyond_delta
from quantmis.models.dp import epsilon_of
from quantmis.report.html import render
from quantmis.report.verdict import verdict
from quantmis.results import CertificateResult, Results
from quantmis.stats import Estimate, Unmeasured
from quantmis.tables.certified import Certified
from quantmis.tables.loss_table import LossTable
from quantmis.tables.saved import read_table
from quantmis.tables.traits import VersionTraits
from quantmis.theory.privacy import largest_advantage, largest_tpr

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 400), nn.ReLU(), nn.Linear(400, 10))


def train(model: nn.Module, samples: qm.Samples, generator: torch.Generator) -> nn.Module:
    return model


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, digits: qm.Samples) -> tuple[Results, Path]:
    """An audit of two models that were trained privately, and of a version that was calibrated on members."""
    out = tmp_path_factory.mktemp("private")
    recipe = qm.Recipe(
        batch_size=20, max_steps=12, optimizer="sgd", learning_rate=0.5, dp=qm.DP(noise_multiplier=1.0, delta=0.02)
    )
    result = qm.audit(
        qm.Task(small, recipe=recipe), digits.take(np.arange(180)),
        quantizers=["gptq"], attacks=["loss_threshold"], shadows=2, release=[], calibrate_on="members",
        engine="stacked", out=out, progress=False,
    )  # fmt: skip
    return result.document, out


@pytest.fixture(scope="module")
def disproved(digits: qm.Samples) -> Results:
    """An audit of a model that learnt wrong labels by heart, of which privacy was declared."""
    few = digits.take(np.arange(400))
    samples = qm.Samples(few.x, np.random.default_rng(0).permutation(few.y))
    torch.manual_seed(0)
    module = wide()
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    x, y = torch.from_numpy(samples.x[:200]), torch.from_numpy(samples.y[:200])
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    task = qm.Task(wide, recipe=train, certificate=qm.Certificate(epsilon=0.5, delta=1e-5, by="opacus 1.5"))
    target = qm.Target(module, np.arange(200), np.arange(200, 400))
    return qm.audit(task, samples, target=target, depth="as-is", quantizers=[], progress=False).document


@pytest.mark.slow
def test_a_recipe_is_counted_and_its_certificate_stands_in_the_results(private: tuple[Results, Path]):
    certificate = private[0].certificate
    assert certificate is not None
    assert (certificate.source, certificate.delta, certificate.steps) == ("dp-sgd recipe", 0.02, 12)
    rate = 20 / 60  # two thirds of 180 samples are divided among pairs of models
    assert certificate.sampling_rate == pytest.approx(rate)
    assert certificate.epsilon == epsilon_of(1.0, rate, 12, 0.02)
    assert certificate.accountant.startswith("dp-accounting ")
    assert private[0].config.recipe["dp_noise_multiplier"] == 1.0


@pytest.mark.slow
def test_every_version_inherits_it_but_what_was_calibrated_on_members(private: tuple[Results, Path]):
    document, out = private
    epsilon, delta = document.certificate.epsilon, document.certificate.delta
    assert document.version("identity")["certified_epsilon"] == epsilon
    assert document.version("identity")["certified_advantage"] == largest_advantage(epsilon, delta)
    reason = document.version("gptq")["certified_epsilon"].reason
    assert reason == "the guarantee does not cover the calibration of gptq on members"
    saved = read_table(out / document.version("identity").table, "identity", "models")
    assert saved.certified == Certified(epsilon, delta)


@pytest.mark.slow
def test_a_delta_above_one_over_the_records_is_a_finding(private: tuple[Results, Path]):
    texts = [each.text for each in private[0].warnings if each.code == "QM023"]
    assert any(text.startswith("delta is 0.02, more than one over the") for text in texts)
    assert any("the calibration of gptq on members" in text for text in texts)
    assert not [each for each in private[0].warnings if each.code == "QM022"]


@pytest.mark.slow
def test_a_certificate_stands_in_the_report_and_in_the_annex(private: tuple[Results, Path]):
    document, _ = private
    page = render(document)
    assert "What the training guarantees" in page
    assert "Differential privacy with epsilon" in page
    answer = next(each.answer for each in QUESTIONS if "differentially private" in each.text)
    assert "is counted for every record" in answer(document)
    plain = document.model_copy(update={"certificate": None})
    assert "What the training guarantees" not in render(plain)


@pytest.mark.slow
def test_a_policy_limits_the_certified_epsilon(private: tuple[Results, Path]):
    document, epsilon = private[0], private[0].certificate.epsilon

    def verdicts(limit: float, version: str) -> dict[str, bool]:
        policy = parse(f'version = "{version}"\n[limits]\ncertified_epsilon_at_most = {limit}'.encode())
        return {each.limit: each.within for each in judge(document, policy, NOW).verdicts}

    assert verdicts(epsilon + 0.1, "identity")["limits.certified_epsilon_at_most"]
    assert not verdicts(epsilon - 0.1, "identity")["limits.certified_epsilon_at_most"]
    assert not verdicts(epsilon + 0.1, "gptq")["limits.certified_epsilon_at_most"]
    assert verdicts(epsilon, "identity")["evidence.certificate"]


def test_attacks_that_show_more_than_was_declared_are_an_alarm(disproved: Results):
    record = disproved.versions[0]
    assert disproved.certificate == CertificateResult(
        epsilon=0.5, delta=1e-5, accountant="opacus 1.5", source="declared"
    )
    assert record["epsilon_shown"].low > 0.5
    assert record["epsilon_shown"].level == 0.999
    finding = next(each for each in disproved.warnings if each.code == "QM022")
    assert "a tokenizer, a scaler" in finding.text
    assert verdict(disproved)[0].kind == "alarm"
    assert "The certified epsilon does not hold." in verdict(disproved)[0].text
    policy = parse(b"[limits]\ncertified_epsilon_at_most = 1")
    held = {each.limit: each.within for each in judge(disproved, policy, NOW).verdicts if each.about == "this audit"}
    assert not held["evidence.certificate"]


def test_what_is_known_to_lie_outside_is_named_where_a_certificate_is_refuted(disproved: Results):
    record = disproved.versions[0].with_measures(epsilon_shown=Estimate(2.0, 1.5, 2.5, 0.999))

    def texts(epsilon: float, *uncovered: str) -> list[str]:
        evidence, columns = Evidence(np.zeros((1, 20)), np.arange(20)[None] < 10), np.ones(20, dtype=bool)
        traits, certified = (VersionTraits("f", None, None, None, []),), Certified(epsilon, 1e-5, uncovered)
        table = LossTable("sign", evidence, None, None, "accuracy", traits, columns, ~columns, certified=certified)
        subject = SubjectAnalysis((table,), (), (record,))
        return [text for _, text in [*refuted([subject]), *left_open([subject])]]

    assert "Known to be outside of the guarantee: a scaler." in texts(1.4, "a scaler")[0]
    assert "does not cover a scaler" in texts(1.4, "a scaler")[1]
    assert "Look for data outside of the guarantee" in texts(1.4)[0]
    assert texts(1.6) == []


def test_delta_is_taken_off_before_epsilon_is_compared():
    bound = Estimate(3.0, 2.0, 4.0, 0.999)
    assert beyond_delta(bound, 1e-9, 1000).low == pytest.approx(2.0, abs=1e-6)
    allowed = 0.01 * 1000 / 10  # TPR = e^2 FPR at 10 false alarms among 1000 non-members; delta allows 1 of e^2
    assert beyond_delta(bound, 0.01, 1000).low == pytest.approx(np.log(np.exp(2) - allowed))
    assert beyond_delta(bound, 0.5, 1000).low == 0.0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 0.0), (1.0, 1e-5), (4.0, 0.01)])
def test_the_bounds_are_those_of_the_worst_mechanism_there_is(epsilon: float, delta: float):
    """Randomised response that gives its secret away with probability delta (Kairouz et al. 2015)."""
    true = (1 - delta) * np.exp(epsilon) / (1 + np.exp(epsilon))
    outputs = np.array([[delta, true, 1 - delta - true, 0.0], [0.0, 1 - delta - true, true, delta]])
    tpr, fpr = np.cumsum(outputs, axis=1)
    assert largest_advantage(epsilon, delta) == pytest.approx(np.max(tpr - fpr))
    for one, other in zip(tpr, fpr, strict=True):
        assert largest_tpr(float(other), epsilon, delta) == pytest.approx(one)


def test_coins_decide_who_is_in_so_that_one_record_is_added_or_removed():
    member = by_coins(2000, 30, np.random.default_rng(0))
    assert (member[0::2] ^ member[1::2]).all()
    assert abs(np.corrcoef(member[0::2].T) - np.eye(30)).max() < 0.15
    assert members_each(member) == 15
    grouped = by_coins(4, 6, np.random.default_rng(0), np.array(["a", "a", "b", "c", "c", "c"]))
    assert (grouped[:, 0] == grouped[:, 1]).all()
    assert (grouped[:, 3] == grouped[:, 5]).all()


FILE = """
[data]
file = "people.csv"
target = "income"
scale = "standard"
[model]
function = "certified_model:small"
[training]
"""


def written(training: str) -> AuditFile:
    return parsed((FILE + training).encode(), Path("audit.toml"))


def test_an_audit_file_asks_for_privacy_and_names_what_was_fitted_on_members(tmp_path: Path):
    (tmp_path / "certified_model.py").write_text(
        "from torch import nn\nsmall = nn.Flatten\ndef train(model, samples, generator): return model\n"
    )
    task = task_of(written("dp = { epsilon = 8, delta = 1e-5 }"), tmp_path)
    assert task.recipe == qm.Recipe(dp=qm.DP(epsilon=8, delta=1e-5))
    assert fitted_of(written("epochs = 3")) == ('the mean and deviation of columns (data.scale = "standard")',)
    declared = 'function = "certified_model:train"\ncertificate = { epsilon = 3.0, delta = 1e-5, by = "opacus 1.5" }'
    assert task_of(written(declared), tmp_path).certificate == qm.Certificate(3.0, 1e-5, "opacus 1.5")


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("dp = { epsilon = 8 }", "training.dp.delta is missing"),
        ("dp = { epsilon = 8, delta = 1e-5, sigma = 1 }", "unknown key training.dp.sigma"),
        ('certificate = { epsilon = 3.0, delta = 1e-5, by = "x" }', "declared of a function"),
        ('function = "m:t"\ndp = { epsilon = 8, delta = 1e-5 }', "a function trains in its own way"),
        ('function = "m:t"\ncertificate = { epsilon = 3.0, delta = 1e-5 }', "training.certificate.by is missing"),
    ],
)
def test_a_file_that_asks_for_something_else_is_refused(training: str, message: str):
    with pytest.raises(qm.UserError, match=message):
        written(training)


@pytest.mark.parametrize(
    ("epsilon", "delta", "by"), [(0.0, 1e-5, "x"), (1.0, 1.0, "x"), (float("inf"), 0.1, "x"), (1.0, 0.1, " ")]
)
def test_a_declaration_that_guarantees_nothing_is_refused(epsilon: float, delta: float, by: str):
    with pytest.raises(qm.UserError):
        qm.Certificate(epsilon, delta, by)


def test_a_certificate_is_not_declared_of_a_recipe(digits: qm.Samples):
    declared = qm.Certificate(1.0, 1e-5, "x")
    with pytest.raises(qm.UserError, match="that of a Recipe is counted"):
        qm.Task(small, recipe=qm.Recipe(), certificate=declared)
    with pytest.raises(qm.UserError, match="a training of your own"):
        qm.audit(qm.Task(small, certificate=declared), digits.take(np.arange(100)), shadows=2, progress=False)


@pytest.mark.slow
def test_without_a_guarantee_nothing_is_said_of_one(private: tuple[Results, Path]):
    content = json.loads(private[0].model_dump_json())
    del content["certificate"]
    for each in content["versions"]:
        for name in ("certified_epsilon", "certified_advantage", "epsilon_shown"):
            del each["measures"][name]
    plain = Results.model_validate(content)
    assert isinstance(plain.versions[0]["certified_epsilon"], Unmeasured)
    assert "guarantees nothing" in plain.versions[0]["certified_epsilon"].reason
    assert not any("Differential privacy" in each.text for each in verdict(plain))
