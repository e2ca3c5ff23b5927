"""Claims about audits of loss tables alone: what other frameworks computed gets the whole report, gate and verify."""

from pathlib import Path

import numpy as np
import pytest

import quantmis as qm
from quantmis.audit.config.running import audit_file, plan_file
from quantmis.data import complementary_halves
from quantmis.results import BlindBaseline, TargetResult
from quantmis.stats import Estimate, Unmeasured, evaluate
from quantmis.verify import verify

SAMPLES = 600


def losses(member: np.ndarray, leak: float, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.log1p(np.exp(draw.normal(size=member.shape) + draw.normal(size=member.shape[1]) - leak * member))


def one_model(leak: float = 1.0) -> qm.Evidence:
    member = np.random.default_rng(1).permutation(np.arange(SAMPLES) < SAMPLES // 2)[None]
    return qm.Evidence(losses(member, leak), member)


def several(models: int, leak: float, samples: int = SAMPLES) -> qm.Evidence:
    """Return a table of models in pairs, of which the last hundred samples are held out."""
    member = np.zeros((models, samples), dtype=bool)
    member[:, : samples - 100] = complementary_halves(models, samples - 100, np.random.default_rng(2))
    return qm.Evidence(losses(member, leak), member)


def test_one_model_is_audited_as_it_is():
    full = one_model()
    result = qm.audit_tables({"identity": full, "int8": one_model(leak=0.0)}, name="a forest")
    document = result.document
    assert (document.config.depth, document.config.model) == ("as-is", "a forest")
    assert isinstance(document.target, TargetResult)
    assert (document.target.members, document.target.non_members) == (SAMPLES // 2, SAMPLES // 2)
    assert isinstance(document.target.blind, Unmeasured)
    expected = evaluate(-full.losses, full.member, false_positive_rates=()).auc
    assert result.versions["identity"].attacks["loss_threshold"].adaptive["auc"].value == pytest.approx(expected.value)
    assert result.versions["identity"]["attack_accuracy"].low > 0.6
    assert result.versions["int8"]["attack_accuracy"].low <= 0.53


def test_the_inputs_tell_whether_the_sets_differ_by_themselves():
    full, draw = one_model(), np.random.default_rng(5)
    for shift, differs in ((0.0, False), (3.0, True)):
        features = draw.normal(size=(SAMPLES, 3)) + shift * full.member[0][:, None]
        document = qm.audit_tables({"identity": full, "int8": full}, features=features).document
        assert isinstance(document.target, TargetResult)
        assert isinstance(document.target.blind, BlindBaseline)
        assert document.target.blind.differs is differs


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES + 1])
def test_several_models_attack_each_other_and_all_is_computed_again(tmp_path: Path, samples: int):
    member = np.zeros((16, samples), dtype=bool)
    member[:, 100:] = [*_halves(16, samples - 100)]
    tables = {name: qm.Evidence(losses(member, leak), member) for name, leak in (("identity", 2.0), ("sign", 0.2))}
    worth = {name: (each.losses < np.log(2)).astype(float) for name, each in tables.items()}
    result = qm.audit_tables(tables, worth, out=tmp_path)
    assert result.document.config.depth == "shadow"
    assert set(result.versions["sign"].attacks) == {"loss_threshold", "lira", "rmia", "paired_replicates"}
    assert [row.name for row in result.ranking.rows] == ["sign", "identity"]
    assert result.versions["sign"]["utility"].value == pytest.approx(worth["sign"][:, :100].mean())
    assert all(control.passed is not False for control in result.document.controls)
    assert not verify(tmp_path).edited
    assert (tmp_path / "report.html").is_file()


def _halves(models: int, samples: int) -> np.ndarray:
    draw = np.random.default_rng(3)
    halves = [draw.permutation(np.arange(samples) < samples // 2) for _ in range(models // 2)]
    return np.array([each for half in halves for each in (half, ~half)])


def test_a_few_models_are_compared_as_replicates():
    result = qm.audit_tables({"identity": several(4, 2.0), "sign": several(4, 0.1)})
    assert result.document.config.depth == "indicator"
    assert isinstance(result.versions["sign"]["channel_correlation"], Estimate)


@pytest.mark.parametrize(
    ("versions", "utility", "message"),
    [
        ({}, {}, "there is no first table 'identity'"),
        ({"int8": one_model()}, {}, "there is no first table 'identity'"),
        ({"identity": one_model(), "int8": several(4, 1.0)}, {}, "int8: its models and samples are not those"),
        ({"identity": one_model()}, {"int8": np.ones((1, SAMPLES))}, "utility: 'int8' of shape"),
        ({"identity": one_model()}, {"identity": np.ones(SAMPLES)}, r"shape \(600,\) is of no version"),
        ({"identity": one_model()}, {"identity": np.full((1, SAMPLES), np.nan)}, "holds NaN"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(versions: dict, utility: dict, message: str):
    with pytest.raises(qm.UserError, match=message):
        qm.audit_tables(versions, utility)


def test_models_without_twins_are_attacked_without_what_needs_twins():
    member = np.random.default_rng(4).random((40, SAMPLES)) < 0.5
    member[:, :100] = False
    full = qm.Evidence(losses(member, 2.0), member)
    result = qm.audit_tables({"identity": full, "sign": qm.Evidence(losses(member, 0.1), member)})
    assert "paired_replicates" not in result.versions["sign"].attacks
    assert result.ranking.rows[0].name == "sign"
    few = full.rows(slice(4))
    with pytest.raises(qm.UserError, match="needs models in complementary pairs"):
        qm.audit_tables({"identity": few, "sign": few})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    full, worth = one_model(), (one_model().losses < np.log(2)).astype(float)
    for name, each in (("full", full), ("int8", one_model(leak=0.0))):
        np.savez(tmp_path / f"{name}.npz", losses=each.losses, member=each.member)
    np.save(tmp_path / "right.npy", worth)
    np.save(tmp_path / "x.npy", np.random.default_rng(6).normal(size=(SAMPLES, 2)))
    (tmp_path / "audit.toml").write_text(
        'name = "a forest"\nfeatures = "x.npy"\n[tables]\nidentity = "full.npz"\n"our int8" = "int8.npz"\n'
        '[utility]\nidentity = "right.npy"\n'
    )
    return tmp_path


def test_an_audit_file_of_tables_gives_what_python_gives(folder: Path):
    result = audit_file(folder / "audit.toml", folder / "out", {})
    full, quantized = one_model(), one_model(leak=0.0)
    expected = qm.audit_tables(
        {"identity": full, "our int8": quantized},
        {"identity": (full.losses < np.log(2)).astype(float)},
        features=np.random.default_rng(6).normal(size=(SAMPLES, 2)),
        name="a forest",
    )
    assert [record.measures for record in result.document.versions] == [
        record.measures for record in expected.document.versions
    ]
    assert qm.AuditResult.from_json(folder / "out").document.config.model == "a forest"
    assert not verify(folder / "out").edited


def test_who_audits_and_what_is_published_together_are_said_of_tables_too(folder: Path):
    file = folder / "audit.toml"
    said = '[auditor]\nname = "A. Person"\n[release]\nsets = [["our int8", "identity"]]\nrecipients = "anybody"\n'
    file.write_text(file.read_text() + said)
    document = audit_file(file, folder / "out", {}).document
    assert (document.config.auditor, document.config.release_context) == (
        {"name": "A. Person"},
        {"recipients": "anybody"},
    )
    assert document.config.release == [["our int8", "identity"]]
    assert [list(each.versions) for each in document.releases] == [["our int8", "identity"]]
    assert not verify(folder / "out").edited
    file.write_text(file.read_text().replace('"our int8", "identity"]]', '"our int4", "identity"]]'))
    with pytest.raises(qm.UserError, match="the audit has no version 'our int4'"):
        audit_file(file, folder / "other", {})


@pytest.mark.parametrize(
    ("old", "new", "options", "message"),
    [
        ("identity =", "full =", {}, "there is no first table 'identity'"),
        ("int8.npz", "int4.npz", {}, "cannot read .*int4.npz"),
        ("[tables]", "[tables]\nn = 3", {}, "tables.n: Input should be a valid string"),
        ("name =", "nam =", {}, "unknown key nam"),
        ("[tables]", "[tables]", {"shadows": 8}, "--shadows: nothing is trained"),
        ("x.npy", "../x.npy", {}, "features"),
    ],
)
def test_a_broken_file_of_tables_is_told_what_is_wrong(
    folder: Path, old: str, new: str, options: dict[str, int], message: str
):
    (folder / "audit.toml").write_text((folder / "audit.toml").read_text().replace(old, new, 1))
    with pytest.raises(qm.UserError, match=message):
        audit_file(folder / "audit.toml", folder / "out", options)


def test_tables_are_planned_by_nobody_and_never_written_over(folder: Path):
    with pytest.raises(qm.UserError, match="nothing is trained where tables are given"):
        plan_file(folder / "audit.toml", {})
    with pytest.raises(qm.UserError, match="would be written over the table of identity"):
        audit_file(folder / "audit.toml", folder, {})
