"""Claims about whole audits: what they find where the truth is known, and that they are the same every time."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import quantmis as qm
from quantmis.data import Samples
from quantmis.measures.auc import AUC
from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.measures.utility import UTILITY
from quantmis.results import AttackMetrics, Results
from quantmis.stats import Estimate, distortion, evaluate

pytestmark = pytest.mark.slow


class Wide(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


SMALL = qm.Task(Wide, recipe=qm.Recipe(epochs=20, learning_rate=3e-3))
FEW = ["uniform(bits=8)", "ternary(sparsity=0.9)"]


@pytest.fixture(scope="module")
def audited(digits: qm.Samples, tmp_path_factory: pytest.TempPathFactory) -> tuple[qm.AuditResult, Path]:
    out = tmp_path_factory.mktemp("audit")
    few = digits.take(np.arange(900))
    return qm.audit(SMALL, few, quantizers=FEW, shadows=32, out=out, progress=False), out


def adaptive(result: qm.AuditResult, quantizer: str, attack: str) -> AttackMetrics:
    found = result.versions[quantizer].attacks[attack].adaptive
    assert isinstance(found, AttackMetrics)
    return found


def auc(result: qm.AuditResult, quantizer: str, attack: str) -> Estimate:
    found = adaptive(result, quantizer, attack)[AUC]
    assert isinstance(found, Estimate)
    return found


def unmoved(document: Results) -> str:
    """Return the document without what may differ between two runs."""
    return document.model_dump_json(exclude={"environment"})


def test_ninety_per_cent_zeros_give_away_least_and_eight_bits_as_much_as_full_precision(
    audited: tuple[qm.AuditResult, Path],
):
    result, _ = audited
    assert result.ranking.rows[0].name == "ternary(sparsity=0.9)"
    full, eight = auc(result, "identity", "lira"), auc(result, "uniform(bits=8)", "lira")
    assert full.low <= eight.value <= full.high
    assert abs(full.value - eight.value) < 0.005  # whether so little is told apart depends on the last bits of training


def test_full_precision_is_always_measured(audited: tuple[qm.AuditResult, Path]):
    assert list(audited[0].versions) == ["identity", *FEW]


def test_the_shuffled_membership_gives_nothing_to_find(audited: tuple[qm.AuditResult, Path]):
    controls = [each for each in audited[0].document.controls if each.name.startswith("shuffled membership")]
    alone = [each for each in controls if not each.name.endswith("versions together")]
    assert len(alone) == len(audited[0].document.config.attacks)
    assert len(controls) > len(alone)
    for control in controls:
        assert control.passed
        assert isinstance(control.found, Estimate)
        assert control.found.low <= 0.5 <= control.found.high


def test_a_model_that_memorises_random_labels_is_found_out(digits: qm.Samples):
    few = digits.take(np.arange(300))
    noise = qm.Samples(few.x, np.random.default_rng(0).integers(0, 10, len(few)))
    task = qm.Task(
        lambda: nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)),
        recipe=qm.Recipe(epochs=60, learning_rate=3e-3),
    )
    result = qm.audit(task, noise, quantizers=["uniform(bits=8)"], shadows=16, progress=False)
    assert auc(result, "identity", "lira").low > 0.9
    assert auc(result, "uniform(bits=8)", "lira").low > 0.9


def test_the_same_seed_gives_the_same_document(digits: qm.Samples):
    few = digits.take(np.arange(200))
    task = qm.Task(Wide, recipe=qm.Recipe(epochs=2))
    first, again, other = (
        qm.audit(task, few, quantizers=FEW, shadows=8, seed=seed, engine="stacked", progress=False).document
        for seed in (3, 3, 4)
    )
    assert unmoved(first) == unmoved(again)
    assert unmoved(first) != unmoved(other)


def test_an_audit_leaves_the_global_streams_alone(digits: qm.Samples):
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    qm.audit(qm.Task(Wide, recipe=qm.Recipe(epochs=1)), digits.take(np.arange(60)), shadows=8, progress=False)
    assert np.random.random() == expected  # noqa: NPY002


def test_what_is_written_is_read_back_the_same(audited: tuple[qm.AuditResult, Path], tmp_path: Path):
    result, out = audited
    assert qm.AuditResult.from_json(out) == result
    result.to_json(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == (out / "results.json").read_bytes()
    assert "ternary(sparsity=0.9)" in (out / "report.html").read_text()


def test_every_number_can_be_recomputed_from_the_saved_table(audited: tuple[qm.AuditResult, Path]):
    result, out = audited
    for record in result.versions.values():
        with np.load(out / record.table, allow_pickle=False) as table:
            member, losses, per_sample_utility = table["member"], table["losses"], table["per_sample_utility"]
            shown = member.any(0)
            evidence = qm.Evidence(losses[:, shown], member[:, shown], signal=table["signal"][:, shown])
            assert per_sample_utility[:, ~shown].mean() == pytest.approx(record[UTILITY].value)
            assert len(np.unique(table["fingerprint"])) == record.distinct
        found = evaluate(qm.attacks.LossThreshold().score(evidence), evidence.member)
        own = auc(result, record.name, "loss_threshold")  # computed by one thread: sums differ in their last bits
        for end in ("value", "low", "high"):
            assert getattr(found.auc, end) == pytest.approx(getattr(own, end), rel=1e-12)


def test_no_key_is_missing_and_no_number_without_interval_or_reason(audited: tuple[qm.AuditResult, Path]):
    document = json.loads((audited[1] / "results.json").read_text())

    def check(value: object) -> None:
        if isinstance(value, dict):
            assert "value" not in value or {"low", "high", "level", "method"} <= set(value)
            for each in value.values():
                check(each)
        elif isinstance(value, list):
            for each in value:
                check(each)
        else:
            assert value is not None

    check(document)
    for record in document["versions"]:
        for quantity in ("utility", "indicator", "security", "security_upper_bound"):
            assert "value" in record["measures"][quantity] or "reason" in record["measures"][quantity]


def test_two_trainings_are_enough_for_the_indicator(digits: qm.Samples):
    task = qm.Task(Wide, recipe=qm.Recipe(epochs=5))
    result = qm.audit(task, digits, quantizers=FEW, shadows=0, replicates=2, progress=False)
    assert result.document.config.depth == "indicator"
    assert list(result.versions["identity"].attacks) == ["loss_threshold", "paired_replicates"]
    assert isinstance(result.versions["identity"]["indicator"], Estimate)


def test_without_shadow_models_quantizers_are_ordered_by_exposure_between_twins(digits: qm.Samples, tmp_path: Path):
    task = qm.Task(Wide, recipe=qm.Recipe(epochs=30))
    names = ["uniform(bits=4)", "ternary(sparsity=0.9)"]
    result = qm.audit(task, digits, quantizers=names, shadows=0, replicates=4, out=tmp_path, progress=False)
    assert "AUC between twins" in result.document.ranking.criterion
    assert "let least of the signal pass first" in result.document.ranking.criterion
    exposure, whole = {}, None
    for record in result.document.versions:
        saved = np.load(tmp_path / record.table)
        whole = saved if whole is None else whole
        compared = (qm.Evidence(each["losses"], each["member"]) for each in (whole, saved))
        assert record["distortion"] == pytest.approx(distortion(*compared), abs=1e-12)
        shown = saved["member"].any(0)
        table = qm.Evidence(saved["losses"][:, shown], saved["member"][:, shown])
        exposure[record.name] = qm.attacks.PairedReplicates().exposure(table).value
    assert result.document.ranking.rows[0].name == min(exposure, key=exposure.__getitem__) == "ternary(sparsity=0.9)"


def test_regression_and_multi_label_tasks_are_audited(digits: qm.Samples):
    few = digits.x[:200]
    ink = few.mean(1)
    for loss, y, width in (("mse", ink, 1), ("multi_label", (few[:, :3] > 0).astype(int), 3)):
        task = qm.Task(lambda width=width: nn.Linear(64, width), loss=loss, recipe=qm.Recipe(epochs=2))
        result = qm.audit(task, qm.Samples(few, y), quantizers=["sign"], shadows=8, progress=False)
        assert result.versions["sign"].utility_metric == {"mse": "r2", "multi_label": "label_accuracy"}[loss]


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"shadows": 7}, "shadows: expected an even number, got 7", "pairs"),
        ({"shadows": -2}, "shadows: expected an even number, got -2", "pairs"),
        ({"shadows": 0, "replicates": 0}, "at least 2 models", "replicates=4"),
        ({"shadows": 2}, "lira", ""),
        ({"quantizers": ["ternery(sparsity=0.9)"]}, "unknown quantizer 'ternery'", "'ternary'"),
        ({"quantizers": ["sign", "sign"]}, "the quantizer sign is asked for twice", ""),
        ({"attacks": ["lirra"]}, "unknown attack 'lirra'", "'lira'"),
        ({"attacks": []}, "attacks: expected at least one", "known"),
        ({"level": 1.0}, "level: expected a probability", ""),
        ({"held_out": 1.0}, "held_out", ""),
    ],
)
def test_what_cannot_be_audited_is_refused_before_training(
    digits: qm.Samples, options: dict[str, object], message: str, hint: str
):
    with pytest.raises(qm.UserError) as refused:
        qm.audit(untrainable(), digits, **options, progress=False)
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


def test_a_model_that_does_not_fit_the_samples_is_refused_before_training(digits: qm.Samples):
    for model, message in (
        (lambda: nn.Linear(63, 10), "the model cannot take x[:8], float32 of shape [8, 64]"),
        (lambda: nn.Linear(64, 9), "labels run from 0 to 9, the model's 9 outputs mean 0 to 8"),
        (lambda: nn.Sequential(nn.Linear(64, 10), nn.Flatten(0)), "the model returned [80] for 8 samples"),
    ):
        with pytest.raises(qm.UserError) as refused:
            qm.audit(untrainable(model), digits, progress=False)
        assert message in str(refused.value)


def test_a_folder_that_cannot_be_written_is_refused_before_training(digits: qm.Samples, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(qm.UserError, match="cannot make the folder"):
        qm.audit(untrainable(), digits, out=blocked / "below", progress=False)


def untrainable(model=Wide) -> qm.Task:
    """Return a task whose training would fail loudly."""
    return qm.Task(model, recipe=Exploding())


class Exploding(qm.Recipe):
    def optimizer_over(self, parameters):
        raise AssertionError("training started")


def test_help_answers_within_a_second_without_torch():
    start = time.perf_counter()
    run = "from quantmis.cli import app; app(['--help'], standalone_mode=False)"
    code = f"import sys; {run}; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
    assert time.perf_counter() - start < 5  # a second on a quiet machine; tests run beside others


def test_a_model_without_layers_to_quantize_is_refused_before_training(digits: qm.Samples):
    class Norm(nn.LayerNorm):
        def __init__(self):
            super().__init__(64)

    with pytest.raises(qm.UserError, match="sign"):
        qm.audit(untrainable(Norm), digits, quantizers=["sign"], progress=False)


def test_a_quantizer_that_looks_at_data_is_given_samples_of_no_model(digits: qm.Samples):
    few = digits.take(np.arange(120))
    result = qm.audit(
        qm.Task(Wide, recipe=qm.Recipe(epochs=2)), few, quantizers=["gptq(bits=4)"], shadows=8, progress=False
    )
    assert list(result.versions.values())[1][BITS_PER_WEIGHT] > 4


@pytest.mark.parametrize("option", ["level", "held_out", "memory"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_an_option_is_a_finite_number(option: str, number: float, digits: Samples):
    with pytest.raises(qm.UserError, match=f"{option}: Input should be a finite number"):
        qm.audit(qm.Task(lambda: nn.Linear(64, 10)), digits, **{option: number})
