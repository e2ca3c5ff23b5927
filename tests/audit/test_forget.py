"""Claims about audits of a model that was made to forget: whole audits, and what is refused before they begin."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.audit.config.running import audit_file
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.results import Results, TargetResult
from quantmis.stats import Estimate
from quantmis.verify import verify

DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(360, 6)).astype(np.float32), DRAW.integers(0, 3, 360)
RETAINED, FORGET, OTHERS = np.arange(120), np.arange(120, 180), np.arange(180, 360)


def net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))


def trained(rows: np.ndarray, model: nn.Module | None = None, steps: int = 200) -> nn.Module:
    """Return a model that has learnt the labels of these rows, which are random, by heart."""
    model = net() if model is None else copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    x, y = torch.from_numpy(X[rows]), torch.from_numpy(Y[rows])
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


TASK = qm.Task(net)


def samples(**more: Any) -> qm.Samples:
    return qm.Samples(X, Y, **more)


def target(model: nn.Module | None = None, **more: Any) -> qm.Target:
    return qm.Target(model or net(), RETAINED, OTHERS, **{"forget": FORGET, **more})


def asked(given: qm.Target, data: qm.Samples | None = None, **options: Any) -> None:
    """Check an audit as it would be before anything is spent."""
    settings = AuditOptions.of(**{"quantizers": ["uniform(bits=4)"], "attacks": ["loss_threshold"], **options})
    checked(audit_request(TASK, data or samples(), given, settings))


def audited(given: qm.Target, **options: Any) -> Results:
    settings = {"quantizers": ["uniform(bits=4)"], "attacks": ["loss_threshold"], "release": [], "progress": False}
    return qm.audit(TASK, samples(), target=given, **{**settings, **options}).document


def value(document: Results, version: str, measure: str) -> float:
    found = document.version(version)[measure]
    assert isinstance(found, Estimate)
    return found.value


@pytest.mark.slow
def test_an_audit_finds_what_was_not_forgotten_and_verify_finds_it_again(tmp_path: Path):
    before, retrained = trained(np.r_[RETAINED, FORGET]), trained(RETAINED)
    pretended = trained(RETAINED, before, steps=1)  # hardly a step further: nothing was forgotten
    given = target(pretended, before=before, retrained=retrained, versions={"elsewhere": net(3)})
    document = audited(given, out=tmp_path)
    assert value(document, "identity", "forget_auc") > 0.75
    assert value(document, "identity", "forget_auc_before") > 0.75
    assert value(document, "identity", "forget_auc_beyond_retrained") > 0.2
    assert document.version("identity")["forget_quality"] < 1e-3
    assert document.version("identity")["forget_quality_retrained"] < 1e-3
    assert abs(value(document, "elsewhere", "forget_auc") - 0.5) < 0.2
    assert "like" in document.version("elsewhere")["forget_auc_before"].reason
    assert isinstance(document.target, TargetResult)
    assert (document.target.forget, document.target.members) == (60, 120)
    assert len(document.target.before) == len(document.target.retrained) == 64
    assert document.data.held_out == 0
    assert verify(tmp_path).edited == []
    for word in ("Made to forget", "Not forgotten in full precision", "Forget quality against retrained"):
        assert word in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_a_retrained_model_never_saw_is_forgotten():
    document = audited(target(trained(RETAINED)))
    auc = document.version("identity")["forget_auc"]
    assert auc.low < 0.5 < auc.high
    assert document.version("identity")["forget_quality"] > 0.01


@pytest.mark.slow
def test_a_version_made_elsewhere_is_compared_through_the_quantizer_that_it_is_like():
    model = trained(np.r_[RETAINED, FORGET])
    like = qm.Version(net(3), like="uniform(bits=4)")
    document = audited(target(model, retrained=trained(RETAINED), versions={"ours": like}))
    assert isinstance(document.version("ours")["forget_auc_beyond_retrained"], Estimate)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"forget": []}, "forget: it names no samples"),
        ({"forget": np.arange(120, 130)}, "forget: expected at least 16, got 10"),
        ({"forget": np.arange(150, 200)}, "20 rows were to be forgotten and are non_members, the first is row"),
        ({"forget": np.arange(100, 180)}, "20 rows were to be forgotten and are members"),
        ({"forget": None, "before": net(1)}, "before is given, and nothing says which samples were to be forgotten"),
        ({"forget": [*range(120, 140), 120]}, "forget: a row is named twice"),
    ],
)
def test_a_forget_set_that_is_none_is_refused(more: dict[str, Any], message: str):
    with pytest.raises(qm.UserError, match=message):
        target(**more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"forget": np.arange(340, 380), "non": np.arange(180, 340)}, "there is no row 379"),
        ({"forget": np.arange(40) < 20, "non": OTHERS}, "expected a mask of 360 samples, got one of 40"),
        ({"retrained": nn.Linear(6, 3)}, "retrained is another model than the target: its weights are weight, bias"),
        ({"before": nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))}, "before cannot compute the samples"),
        ({"before": net().state_dict()}, "before has the very weights of the target"),
        ({"before": {"0.weight": torch.zeros(1)}}, "before"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_spent(more: dict[str, Any], message: str):
    others = more.pop("non", OTHERS)
    members = np.arange(60, 120) if isinstance(more.get("forget"), np.ndarray) else RETAINED
    given = qm.Target(net(), members, others, **{"forget": FORGET, **more})
    with pytest.raises(qm.UserError, match=message):
        asked(given)


def test_models_are_not_trained_beside_one_that_was_made_to_forget():
    task = qm.Task(net, recipe=qm.Recipe(epochs=1))
    with pytest.raises(qm.UserError, match="a model that was made to forget is audited as it is"):
        audit_request(task, samples(), target(), AuditOptions.of(shadows=4))
    assert audit_request(task, samples(), target(), AuditOptions.of()).settings.models == 0


def test_copies_of_what_was_forgotten_are_refused_or_dropped():
    x = X.copy()
    x[200], x[7] = x[130], x[131]
    with pytest.raises(qm.UserError, match=r"1 members are copies of samples that were to be forgotten, .* row \[7\]"):
        asked(target(), qm.Samples(x, Y))
    x[7] = X[7]
    with pytest.raises(qm.UserError, match=r"1 non_members are copies of samples .* row \[200\]"):
        asked(target(), qm.Samples(x, Y))
    settings = AuditOptions.of(quantizers=["sign"], attacks=["loss_threshold"])
    request, _ = checked(audit_request(TASK, qm.Samples(x, Y), target(overlap="drop"), settings))
    assert request.target is not None
    assert 200 not in request.target.non_members
    assert len(request.target.forgotten) == 60


def test_a_class_that_no_non_member_is_of_cannot_be_judged():
    y = Y.copy()
    y[FORGET], y[OTHERS] = 2, np.minimum(y[OTHERS], 1)
    with pytest.raises(qm.UserError, match="forget: 0 of 60 samples have a non-member of their own class"):
        asked(target(), qm.Samples(X, y))


FILE = """
[data]
file = "data.npz"

[model]
function = "own_net_of_forgetting:net"

[target]
weights = "unlearned.pt"
members = "members.txt"
non_members = "others.txt"
forget = "forget.txt"
before = "before.pt"

[audit]
quantizers = ["uniform(bits=4)"]
attacks = ["loss_threshold"]
"""


MODULE = """from torch import nn


def net():
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_net_of_forgetting.py").write_text(MODULE)
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    for name, rows in (("members", RETAINED), ("others", OTHERS), ("forget", FORGET)):
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, rows)))
    for seed, name in enumerate(("unlearned", "before")):
        torch.save(net(seed).state_dict(), tmp_path / f"{name}.pt")
    (tmp_path / "audit.toml").write_text(FILE)
    return tmp_path


def audited_file(folder: Path) -> Results:
    return audit_file(folder / "audit.toml", folder / "out", {"engine": None}).document


@pytest.mark.slow
def test_an_audit_file_names_what_was_to_be_forgotten_in_a_file_or_a_column(folder: Path):
    document = audited_file(folder)
    assert isinstance(document.version("identity")["forget_auc_before"], Estimate)
    side = np.repeat(["kept", "gone", "new"], [120, 60, 180])
    lines = [",".join([*map(str, x), s, str(y)]) for x, s, y in zip(X, side, Y, strict=True)]
    (folder / "data.csv").write_text("\n".join(["a,b,c,d,e,f,side,label", *lines]))
    keys = {'"members.txt"': '"kept"', '"others.txt"': '"new"', '"forget.txt"': '"gone"\ncolumn = "side"'}
    text = FILE.replace('file = "data.npz"', 'file = "data.csv"\ntarget = "label"')
    for name, word in keys.items():
        text = text.replace(name, word)
    (folder / "audit.toml").write_text(text)
    again = audited_file(folder)
    assert value(again, "identity", "forget_auc") == pytest.approx(value(document, "identity", "forget_auc"), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "word", "message"),
    [
        ('"forget.txt"', '"nowhere.txt"', "target.forget"),
        ('"forget.txt"', "7", "target.forget: expected the name of a file"),
        ('"before.pt"', '"nowhere.pt"', "nowhere.pt"),
        ("forget =", "forgot =", "unknown key target.forgot"),
    ],
)
def test_a_file_that_names_no_such_thing_is_refused(folder: Path, name: str, word: str, message: str):
    (folder / "audit.toml").write_text(FILE.replace(name, word))
    with pytest.raises(qm.UserError, match=message):
        audited_file(folder)
