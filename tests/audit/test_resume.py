"""Claims about finished work: nothing is lost, nothing stale is reused, nothing damaged is believed."""

import faulthandler
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from resumable import MODELS, requested, work
from torch import nn

import quantmis as qm
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.keys import keys_of
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.store import Damaged, Store, locked
from quantmis.audit.execution.work import Group, Rows
from quantmis.audit.run import run
from quantmis.models import engine
from quantmis.tables import VersionTraits

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parents[1] / "helpers" / "resumable.py"
PATIENCE = 120
DIVERGES = qm.Recipe(epochs=5, learning_rate=1e15, optimizer="sgd")
"""A recipe by which the first steps are possible, which are tried before anything is trained."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    run(requested(out), progress=False)
    return out


def content(out: Path) -> tuple[str, dict[str, bytes]]:
    """Return all that an audit found: the document without time and place, and the tables."""
    document = qm.AuditResult.from_json(out).document.model_dump_json(exclude={"environment", "warnings"})
    tables = {file.name: b"".join(_arrays(file)) for file in sorted((out / "tables").iterdir())}
    return document, tables


def _arrays(file: Path) -> list[bytes]:
    with np.load(file, allow_pickle=False) as table:
        return [table[name].tobytes() for name in sorted(table)]


def stored(out: Path) -> dict[str, float]:
    return {file.name: file.stat().st_mtime_ns for file in (out / "store").rglob("*.safetensors")}


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(PROGRAM), str(out)], stderr=subprocess.PIPE, text=True)


def test_an_audit_killed_ten_times_ends_as_if_it_had_not_been(whole: Path, tmp_path: Path):
    chance, kept = random.Random(0), dict[str, float]()
    for _ in range(10):
        with start(tmp_path) as process:
            assert process.stderr is not None
            process.stderr.readline()  # it has begun to train
            enough = len(kept) + chance.choice([0, 0, 1, 2])
            while len(stored(tmp_path)) < enough and process.poll() is None:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        now = stored(tmp_path)
        assert {name: now.get(name) for name in kept} == kept, "finished work was computed again"
        kept = now
    assert len(kept) > 0, "some kills must fall after a group was stored"
    result = run(requested(tmp_path), progress=False)
    weights = [name for name in kept if (tmp_path / "store" / "weights" / name).exists()]
    assert result.document.environment.reused == 2 * len(weights)
    assert content(tmp_path) == content(whole)


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "copy"))


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
@pytest.mark.parametrize(("kind", "trained"), [("rows", 0), ("weights", 2)])
def test_what_is_damaged_is_found_named_and_computed_again(
    whole: Path, tmp_path: Path, kind: str, trained: int, harm: str, capsys
):
    out = copied(whole, tmp_path)
    if kind == "weights":  # which are read only where rows are missing
        shutil.rmtree(out / "store" / "rows")
    victim = sorted((out / "store" / kind).iterdir())[0]
    content_ = bytearray(victim.read_bytes())
    if harm == "flip":
        content_[len(content_) // 2] ^= 1
    victim.write_bytes({"truncate": content_[: len(content_) // 2], "flip": content_, "empty": b""}[harm])
    result = run(requested(out), progress=False)
    assert result.document.environment.reused == MODELS - trained
    assert victim.name in capsys.readouterr().err
    assert [finding.code for finding in result.document.warnings if victim.name in finding.text] == ["QM007"]
    assert content(out) == content(whole)


def test_every_single_flipped_bit_is_noticed(tmp_path: Path, rng: np.random.Generator):
    store = Store(tmp_path)
    rows = Rows({"losses": rng.random((2, 3)).astype(np.float32)}, [VersionTraits("f", 1.0, 0.5, 3, [])] * 2)
    store.save_rows("key", rows)
    good = store.path("key").read_bytes()
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        store.path("key").write_bytes(bad)
        try:
            found = store.load_rows("key")
        except Damaged:
            continue
        assert found is not None  # a change of what is no content, such as the order of keys in the header
        assert found.traits == rows.traits
        assert {name: array.tolist() for name, array in found.arrays.items()} == {
            "losses": rows.arrays["losses"].tolist()
        }


def test_a_group_under_another_key_is_not_believed(tmp_path: Path):
    store = Store(tmp_path)
    store.save_rows("one", Rows({"losses": np.zeros((2, 3), dtype=np.float32)}, []))
    store.path("one").rename(store.path("other"))
    with pytest.raises(Damaged, match="checksum"):
        store.load_rows("other")


@pytest.mark.parametrize(
    "changes",
    [
        {"wrong_labels": 1},
        {"recipe": qm.Recipe(epochs=41)},
        {"recipe": qm.Recipe(epochs=40, learning_rate=1.0001e-3)},
        {"seed": 1},
        {"held_out": 0.5},
        {"checkpoint_every": None},
        {"engine": "loop"},
    ],
    ids=str,
)
def test_nothing_stale_is_reused(whole: Path, changes: dict[str, object]):
    store = Store(whole / "store")
    same, other = work(), work(**changes)
    assert all(store.path(key).exists() for key in keys_of(same))
    assert not any(store.path(key).exists() for key in keys_of(other))


def test_one_changed_line_beside_a_recipe_of_the_users_own_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = (
        "import torch\n"
        "def train(model, samples, generator):\n"
        "    return step(model, 0.5)\n"
        "def step(model, size):\n"
        "    with torch.no_grad():\n"
        "        model[0].bias += size\n"
        "    return model\n"
    )

    def audited(text: str) -> qm.AuditResult:
        (tmp_path / "own_recipe.py").write_text(text)
        sys.modules.pop("own_recipe", None)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        own = importlib.import_module("own_recipe")
        request = requested(tmp_path / "out", recipe=own.train, engine="auto", checkpoint_every=None)
        return run(request, progress=False)

    first, again, changed = audited(source), audited(source), audited(source.replace("0.5", "-9."))
    assert [result.document.environment.reused for result in (first, again, changed)] == [0, MODELS, 0]
    assert first.versions["identity"]["utility"] == again.versions["identity"]["utility"]
    assert first.versions["identity"].table_digest != changed.versions["identity"].table_digest


@pytest.mark.parametrize("harm", [None, b"", b"stacked", b'{"way": "loop"}', b"[1]", "flip"])
def test_the_choice_of_a_way_and_its_timings_are_kept_or_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: object
):
    slow = iter(range(1, 100))
    monkeypatch.setattr(
        engine, "_seconds", lambda probe, recipe, kind, apart, steps: next(slow) * (1e-3 if kind == "loop" else 1.0)
    )
    request = requested(engine="auto")
    member, store = membership(planted(request), request.settings, None), Store(tmp_path)
    first = plan(request, member, store).engine
    assert (first.kind, first.seconds) == ("loop", {"stacked": 1.0, "loop": 2e-3})
    [file] = tmp_path.glob("*.way")
    if harm == "flip":
        file.write_bytes(file.read_bytes().replace(b"loop", b"look", 1))
    elif isinstance(harm, bytes):
        file.write_bytes(harm)
    again = plan(request, member, store).engine
    assert again.seconds == (first.seconds if harm is None else {"stacked": 3.0, "loop": 4e-3})
    assert plan(request, member, store).engine == again


def test_two_audits_on_one_folder_at_once_are_refused(tmp_path: Path):
    with FileLock(tmp_path / ".lock"), pytest.raises(qm.UserError, match="another audit is writing"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path):
    code = (
        "import resource, sys; from pathlib import Path; import quantmis as qm\n"
        f"sys.path.insert(0, {str(PROGRAM.parent)!r}); from resumable import requested, run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        f"try: run(requested(Path({str(tmp_path)!r})), progress=False)\n"
        "except qm.UserError as error: print(error, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot write" in done.stdout, done.stderr
    assert "free some space" in done.stdout
    assert [file.name for file in (tmp_path / "store").rglob("*") if file.is_file() and file.suffix != ".way"] == []
    assert not (tmp_path / "results.json").exists()


def losses(found: Mapping[range, Group]) -> dict[range, list[bytes]]:
    return {
        rows: [
            version.arrays[name].tobytes()
            for version in found[rows].versions.values()
            for name in sorted(version.arrays)
        ]
        for rows in sorted(found, key=str)
    }


def test_processes_give_what_one_process_gives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "cores", lambda: 2)
    many = work(engine="loop", recipe=qm.Recipe(epochs=2), checkpoint_every=None)
    assert (many.engine.workers, many.engine.threads) == (2, 1)
    one = replace(many, engine=replace(many.engine, workers=1))
    found = [collect(each, Local(), None, tick=lambda done: None).groups for each in (many, one)]
    assert losses(found[0]) == losses(found[1])


class Here(nn.Sequential):
    """A model of a module that other processes cannot import."""

    def __init__(self):
        super().__init__(nn.Linear(64, 10))


def test_a_model_travels_to_other_processes_wherever_it_is_defined(digits: qm.Samples):
    few = digits.take(np.arange(60))
    task = qm.Task(Here, recipe=qm.Recipe(epochs=1))
    result = qm.audit(task, few, quantizers=["sign"], shadows=8, engine="loop", progress=False)
    assert result.document.environment.engine.startswith("loop")


def test_an_error_of_the_users_arrives_whole_from_another_process():
    broken = work(engine="loop", recipe=DIVERGES, checkpoint_every=None)
    broken = replace(broken, engine=replace(broken.engine, workers=2))
    with pytest.raises(qm.UserError, match=r"seed address shadow/\d+ diverged") as refused:
        collect(broken, Local(), None, tick=lambda done: None)
    assert refused.value.hint == "lower the learning rate"


def test_an_audit_that_is_stopped_early_leaves_its_workers_at_once():
    many = work(engine="loop", recipe=qm.Recipe(epochs=1), checkpoint_every=None)
    many = replace(many, engine=replace(many.engine, workers=2))
    faulthandler.dump_traceback_later(PATIENCE, exit=True)  # nothing else ends a deadlock
    for _ in range(3):
        next(groups := Local().run(many, map(many.job, many.groups()), lambda done: None))
        groups.close()
    faulthandler.cancel_dump_traceback_later()


def test_a_killed_worker_is_said_without_a_traceback():
    here = os.getpid()

    def killed(model: nn.Module, samples: qm.Samples, generator: object) -> nn.Module:
        assert os.getpid() != here, "this must run in a worker"
        os.kill(os.getpid(), signal.SIGKILL)
        return model

    whole = work(recipe=killed, checkpoint_every=None, engine="loop")
    whole = replace(whole, engine=replace(whole.engine, workers=2))
    with pytest.raises(qm.UserError, match="a process that trained models was killed") as said:
        list(Local().run(whole, map(whole.job, whole.groups()), lambda done: None))
    assert "run the same audit again" in str(said.value.hint)
