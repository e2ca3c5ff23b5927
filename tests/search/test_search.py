"""Claims about whole searches: trained once, confirmed elsewhere, resumed, refused; and what they leave in a folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import searching
import torch
from searching import Small, digits, requested
from torch import nn

import quantmis as qm
from quantmis.audit.execution import computing
from quantmis.errors import UserError
from quantmis.gate.policy import parse
from quantmis.quantizers import QUANTIZERS, layers, restore
from quantmis.registry import spelling
from quantmis.search import pairs, running
from quantmis.search import record as documents
from quantmis.search.confirming import confirmed, divided, winner_of
from quantmis.search.exploring import Exploration, Heard, begun
from quantmis.search.layers import exactly
from quantmis.search.limits import limits_of
from quantmis.search.running import searched
from quantmis.search.saving import save_winner
from quantmis.search.words import sentences

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, running.Searched]:
    folder = tmp_path_factory.mktemp("search") / "out"
    return folder, searched(requested(folder), progress=False)


def test_a_search_ends_in_an_ordinary_audit_of_what_it_proposes(done: tuple[Path, running.Searched]):
    folder, result = done
    record = result.record
    names = {each.quantizer for each in record.confirmed}
    assert {"identity", "uniform(bits=4)", "sign"} < names
    assert names == set(result.audit.versions)
    assert sum(each.of_front for each in record.confirmed) >= 1
    assert qm.AuditResult.from_json(folder).document == result.audit.document
    assert (folder / "report.html").exists()
    assert documents.read(folder) == record
    assert qm.SearchResult.from_folder(folder).winner == record.winner
    assert record.winner in names - {"identity"}
    assert QUANTIZERS.parse(str(record.winner))


def test_it_is_judged_by_samples_and_trainings_that_it_never_saw(done: tuple[Path, running.Searched]):
    request = requested(done[0])
    seen, unseen = divided(request.samples, 0.5, 0)
    assert set(seen.tolist()).isdisjoint(unseen.tolist())
    assert len(seen) + len(unseen) == len(request.samples)
    assert done[1].audit.document.data.digest == request.samples.take(unseen).digest()
    assert done[1].record.samples_searched == len(seen)
    weights = {each.name for each in (done[0] / "search" / "store" / "weights").iterdir()}
    assert weights.isdisjoint({each.name for each in (done[0] / "store" / "weights").iterdir()})


def test_copies_and_groups_are_on_one_side():
    samples = digits(300, repeated=40)
    seen, _ = divided(samples, 0.5, 0)
    is_seen = np.isin(np.arange(len(samples)), seen)
    assert (is_seen[:40] == is_seen[300:]).all()
    grouped = qm.Samples(samples.x[:300], samples.y[:300], groups=np.arange(300) // 3)
    seen, unseen = divided(grouped, 0.5, 0)
    assert set(seen // 3).isdisjoint(unseen // 3)


def copied(done: tuple[Path, running.Searched], folder: Path) -> Path:
    """Return a folder where the models of a search are trained already, and nothing was tried."""
    shutil.copytree(done[0] / "search", folder / "search")
    (folder / "search" / "journal.log").unlink()
    return folder


def explored(folder: Path, heard: Heard = lambda tried: None, **changes: object) -> Exploration:
    exploration = begun(requested(folder, **changes), progress=False)
    exploration.explore(progress=False, heard=heard)
    return exploration


def test_a_search_that_ended_trains_and_measures_nothing_again(done: tuple[Path, running.Searched], monkeypatch):
    monkeypatch.setattr(computing, "train", lambda *a, **k: pytest.fail("a model was trained"))
    monkeypatch.setattr(pairs, "_tables", lambda *a: pytest.fail("a version was computed"))
    monkeypatch.setattr(Exploration, "tell_layers_apart", lambda *a: None)
    again = searched(requested(done[0]), progress=False)
    assert again.record.candidates == done[1].record.candidates
    assert again.record.confirmed == done[1].record.confirmed


def test_an_interruption_leaves_the_front_so_far_and_the_search_goes_on_without_training(
    done: tuple[Path, running.Searched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(tried) -> None:
        if tried.number == 5:
            raise KeyboardInterrupt

    folder = copied(done, tmp_path)
    monkeypatch.setattr(computing, "train", lambda *a, **k: pytest.fail("a model was trained"))
    with pytest.raises(KeyboardInterrupt):
        searched(requested(folder), progress=False, heard=stop)
    partial = documents.read(folder)
    assert len(partial.candidates) == 6
    assert partial.front
    assert partial.notes == [running.INTERRUPTED]
    again = explored(folder).record()
    assert again.candidates == done[1].record.candidates
    assert again.front == done[1].record.front


def test_ctrl_c_ends_a_search_cleanly_and_the_same_command_goes_on(done: tuple[Path, running.Searched], tmp_path: Path):
    paths = os.pathsep.join([str(Path(qm.__file__).parents[1]), str(Path(searching.__file__).parent)])
    folder = copied(done, tmp_path)
    process = subprocess.Popen(
        [sys.executable, searching.__file__, str(folder), "5000"],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = folder / "search" / "journal.log"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") > 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()  # where it does not heed the interrupt
    assert process.returncode != 0
    assert "KeyboardInterrupt" in said
    tried = documents.read(folder).candidates
    assert 0 < len(tried) < 5000
    again = explored(folder).record()
    assert again.candidates[: len(tried)] == tried[:14]
    assert again.candidates[:14] == done[1].record.candidates


def test_limits_that_nothing_keeps_say_what_comes_nearest(done: tuple[Path, running.Searched], tmp_path: Path):
    strict = parse(b"[limits]\nutility_at_least = 0.99\nbits_per_weight_at_most = 1.5\n")
    asked = requested(copied(done, tmp_path), candidates=6, policy=strict, loss_at_most=None)
    with pytest.raises(UserError, match=r"none of 6 candidates keeps the limits; .* comes nearest: ") as caught:
        searched(asked, progress=False)
    assert "missed by" in str(caught.value)
    assert "nothing is trained again" in str(caught.value.hint)
    assert documents.read(tmp_path).front == []


def test_the_limits_of_a_policy_are_held_by_the_gate_in_the_end(done: tuple[Path, running.Searched]):
    rules = parse(b"[limits]\nutility_at_least = 0.2\n[[limits.tpr]]\nat_fpr = 0.1\nat_most = 0.00001\n")
    limits, not_judged = limits_of(rules, None)
    assert not_judged == ["tpr at 0.1"]
    entries, _ = confirmed(done[1].audit, done[0], limits, rules, {}, [])
    assert all(any("limits.tpr" in each for each in version.missed) for version in entries)
    assert winner_of(entries, "exposure") is None
    lenient = parse(b"[limits]\nutility_at_least = 0.01\n")
    entries, _ = confirmed(done[1].audit, done[0], limits_of(lenient, None)[0], lenient, {}, [])
    least = min((each for each in entries if each.quantizer != "identity"), key=lambda each: each.again.bits)
    assert winner_of(entries, "bits") == least


def test_a_recipe_that_changes_more_than_tensors_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="changes more of a model than its tensors") as caught:
        begun(requested(tmp_path, recipe=hooked, audit={"engine": "loop"}), progress=False)
    assert "quantmis audit" in str(caught.value.hint)


def hooked(model: nn.Module, samples: qm.Samples, generator: np.random.Generator) -> nn.Module:
    """Change what a model computes in what is no tensor of it, as a recipe of a user's may."""
    model.register_forward_hook(lambda module, inputs, outputs: outputs / 2)
    return model


def test_layers_are_told_apart_by_quantizing_one_alone_and_all_others(done: tuple[Path, running.Searched]):
    record = done[1].record
    assert [(each.layer, each.weights) for each in record.layers] == [("0", 64 * 24), ("2", 240)]
    model = Small()
    for name, other in (("0", "2"), ("2", "0")):
        alone = QUANTIZERS.parse(f'mixed(of=uniform(bits=2), at=identity, layers="{exactly(other)}")').quantize(model)
        after, before = layers.weights(alone.model), layers.weights(model)
        assert not (after[name] == before[name]).all()
        assert (after[other] == before[other]).all()
    assert any("gives most of the training data away" in each for each in sentences(record))


@pytest.mark.parametrize(
    "winner", ["uniform(bits=3)", "gptq(bits=3)", 'mixed(of=sign, at=uniform(bits=4), layers="2")']
)
def test_the_winner_is_saved_where_there_is_a_model_to_ship(tmp_path: Path, winner: str):
    model, known = Small(), {"confounded": "report"}
    target = qm.Target(model, np.arange(0, 600, 2), np.arange(1, 600, 2), **known)
    asked = running._audit_of(requested(tmp_path, target=target), [QUANTIZERS.parse(winner)])
    assert save_winner(asked, QUANTIZERS.parse(winner), tmp_path)[0] == "winner.safetensors"
    restored = restore(Small(), tmp_path / "winner.safetensors")
    few = torch.from_numpy(digits().x[:5])
    if "gptq" not in winner:
        assert restored.fingerprint == QUANTIZERS.parse(winner).quantize(model.eval()).fingerprint
    assert not torch.equal(restored.model(few), model(few))


def test_a_target_is_audited_on_the_rows_that_the_search_never_saw(tmp_path: Path):
    target = qm.Target(Small(), np.arange(0, 300), np.arange(300, 600), name="ours", utility=0.5)
    request = requested(tmp_path, target=target)
    own = running._audit_of(request, ()).target
    assert own is not None
    assert (request.unseen[own.members] < 300).all()
    assert (request.unseen[own.non_members] >= 300).all()
    assert len(own.members) + len(own.non_members) == len(request.unseen)
    assert (own.name, own.utility) == ("ours", 0.5)
    losses = qm.Evidence(np.zeros((1, 600)), np.zeros((1, 600), dtype=bool))
    tabled = qm.Target(Small(), np.arange(0, 300), np.arange(300, 600), versions={"table": losses})
    with pytest.raises(UserError, match="a table of losses of all of them"):
        running._audit_of(requested(tmp_path, target=tabled), ())


def test_without_a_model_to_ship_it_is_said_that_none_is_saved(done: tuple[Path, running.Searched]):
    assert done[1].record.saved == ""
    assert "none to quantize and save" in done[1].record.notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ["head"]}, "no layer is named 'head'"),
        ({"probe": "identity"}, "cannot quantize one layer alone"),
        ({"families": ["unifrom"]}, "unknown quantizer"),
        ({"samples": digits(30)}, "expected at least 20 samples"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    changes: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(computing, "train", lambda *a, **k: pytest.fail("a model was trained"))
    with pytest.raises(UserError, match=message):
        searched(requested(tmp_path, **changes), progress=False)


def test_a_record_of_another_version_is_refused(done: tuple[Path, running.Searched], tmp_path: Path):
    text = (done[0] / "search.json").read_text().replace('"schema_version": 1', '"schema_version": 2', 1)
    (tmp_path / "search.json").write_text(text)
    with pytest.raises(UserError, match="schema version 2, not 1"):
        documents.read(tmp_path)
    (tmp_path / "search.json").write_text(text[: len(text) // 2])
    with pytest.raises(UserError, match="no record of a search"):
        documents.read(tmp_path)


def test_the_front_is_spelled_as_the_audit_spells_it(done: tuple[Path, running.Searched]):
    assert all(spelling(QUANTIZERS.parse(each)) == each for each in done[1].record.front)
