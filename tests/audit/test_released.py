"""Claims about release sets that a user names: by spelling, for each subject, or refused before anything is trained."""

import sys
from pathlib import Path

import numpy as np
import pytest
from own_model import GOOD, MODULE
from torch import nn

import quantmis as qm
from quantmis.audit.config.running import audit_file
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_without import RELEASE_WITHOUT
from quantmis.results import TargetResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.verify import verify


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def samples() -> qm.Samples:
    draw = np.random.default_rng(0)
    return qm.Samples(draw.normal(size=(240, 6)).astype(np.float32), draw.integers(0, 2, 240))


TASK = qm.Task(net, recipe=qm.Recipe(epochs=3))
QUANTIZERS = ["uniform(bits=4)", "sign"]


def target(**versions: nn.Module) -> qm.Target:
    return qm.Target(net(), np.arange(120), np.arange(120, 240), dict(versions))


def asked(*sets: list[str], given: qm.Target | None = None) -> tuple[tuple[str, ...], ...] | None:
    options = AuditOptions.of(quantizers=QUANTIZERS, shadows=0 if given else 8, release=list(sets))
    return audit_request(
        TASK, samples(), given, options.model_copy(update={"depth": "as-is" if given else None})
    ).settings.release


def test_versions_are_named_as_users_write_them():
    assert asked(["sign", "uniform( bits = 4 )"]) == (("sign", "uniform(bits=4)"),)
    assert asked(["identity", "other"], given=target(other=net())) == (("identity", "other"),)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([["sign"]], r"two different versions or more, got \['sign'\]"),
        ([["sign", "sign"]], "two different versions or more"),
        ([["uniform(bits=4)", "uniform( bits=4)"]], "named twice in one set"),
        ([["sign", "sing"]], "the audit has no version 'sing'"),
    ],
)
def test_a_set_that_is_none_is_refused(sets: list[list[str]], message: str):
    with pytest.raises(qm.UserError, match=message):
        asked(*sets)


def test_versions_of_different_models_are_no_set():
    options = AuditOptions.of(quantizers=QUANTIZERS, shadows=8, release=[["other", "elsewhere"], ["sign", "other"]])
    given = target(other=net(), elsewhere=net())
    only_trained = qm.Target(net(), np.arange(120), np.arange(120, 240), {"other": net(), "elsewhere": net()})
    settings = audit_request(TASK, samples(), given, options).settings
    assert settings.release == (("other", "elsewhere"), ("sign", "other"))  # all of them are versions of the target
    assert only_trained.versions.keys() == given.versions.keys()


@pytest.mark.slow
def test_an_audit_of_trained_models_measures_its_release_sets_and_verify_finds_them_again(tmp_path: Path):
    options = {"quantizers": QUANTIZERS, "attacks": ["loss_threshold", "lira"], "shadows": 8, "progress": False}
    result = qm.audit(
        TASK, samples(), **options, release=[["sign", "uniform(bits=4)"], ["identity", "sign"]], out=tmp_path
    )
    releases = result.document.releases
    assert [each.versions for each in releases] == [["sign", "uniform(bits=4)"], ["identity", "sign"]]
    for each in releases:
        assert isinstance(each[RELEASE_ATTACK_ACCURACY], Estimate)
        left = each[RELEASE_WITHOUT]
        assert isinstance(left, list)
        assert [found.version for found in left] == each.versions
    assert [each.passed for each in result.document.controls if "2 versions together" in each.name] == [True] * 6
    assert verify(tmp_path).edited == []


@pytest.mark.slow
def test_an_as_is_audit_measures_all_versions_of_the_target_together(tmp_path: Path):
    result = qm.audit(
        TASK, samples(), target=target(other=net()), quantizers=QUANTIZERS, depth="as-is", progress=False, out=tmp_path
    )
    [release] = result.document.releases
    assert release.versions == ["identity", "uniform(bits=4)", "sign", "other"]
    assert isinstance(release[RELEASE_ATTACK_ACCURACY], Estimate)
    assert verify(tmp_path).edited == []


@pytest.mark.slow
def test_the_versions_of_a_target_are_attacked_by_what_was_learned_from_models_of_ones_own(tmp_path: Path):
    options = {"quantizers": QUANTIZERS, "attacks": ["loss_threshold", "lira"], "shadows": 8, "progress": False}
    sets = [["identity", "sign"], ["sign", "other"]]
    result = qm.audit(TASK, samples(), target=target(other=net()), release=sets, out=tmp_path, **options)
    assert isinstance(result.document.target, TargetResult)
    assert [each.versions for each in result.document.releases] == sets[:1]
    known, elsewhere = result.document.target.releases
    assert [known.versions, elsewhere.versions] == sets
    assert not isinstance(known.attacks["joint_lira"], Unmeasured)
    assert isinstance(elsewhere.attacks["joint_lira"], Unmeasured)  # nobody knows what the other version is like
    assert all(isinstance(each[RELEASE_ATTACK_ACCURACY], Estimate) for each in (known, elsewhere))
    assert verify(tmp_path).edited == []


@pytest.mark.slow
def test_no_release_set_is_measured_where_none_is_asked_for():
    result = qm.audit(
        TASK, samples(), target=target(), quantizers=QUANTIZERS, depth="as-is", release=[], progress=False
    )
    assert result.document.releases == []


@pytest.mark.slow
def test_an_audit_file_names_release_sets_in_a_section_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("own_model_of_tests", None)
    (tmp_path / "own_model_of_tests.py").write_text(MODULE)
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=draw.normal(size=(120, 6)), y=draw.integers(0, 2, 120))
    path = tmp_path / "audit.toml"
    path.write_text(GOOD + '\n[release]\nsets = [["identity", "sign"]]\n')
    document = audit_file(path, tmp_path / "out", {"engine": None}).document
    assert [each.versions for each in document.releases] == [["identity", "sign"]]
    assert document.config.release == [["identity", "sign"]]
    path.write_text(GOOD + '\n[release]\nsets = [["sign"]]\n')
    with pytest.raises(qm.UserError, match=r"\[release\] sets: .*two different versions or more"):
        audit_file(path, tmp_path / "out", {"engine": None})
    path.write_text(GOOD.replace("[audit]", '[audit]\nrelease = [["identity", "sign"]]'))
    with pytest.raises(qm.UserError, match="it has a section of its own"):
        audit_file(path, tmp_path / "out", {"engine": None})
