"""Claims about what a group depends on beside its arguments: nothing that was read and has changed is believed."""

import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from resumable import requested
from torch import nn

import quantmis as qm
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.outside import ABSENT, CHANGED, changes, watched
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.store import Store
from quantmis.audit.run import run

TRAINER = """
import functools, importlib, json, os, sqlite3
from pathlib import Path

HERE = Path(__file__).parent

@functools.cache
def cached():
    return float((HERE / "rate.txt").read_text())

def by_file(model, samples, generator):
    return trained(model, float((HERE / "rate.txt").read_text()))

def by_file_once(model, samples, generator):
    return trained(model, cached())

def by_module(model, samples, generator):
    return trained(model, importlib.import_module("_".join(["outside", "rate"])).RATE)

def by_path(model, samples, generator):
    names = {}
    exec((HERE / "rate.py").read_text(), names)
    return trained(model, names["RATE"])

def by_variable(model, samples, generator):
    return trained(model, float(os.environ.get("OUTSIDE_RATE", "0.5")))

def by_getenv(model, samples, generator):
    return trained(model, float(os.getenv("OUTSIDE_RATE", "0.5")))

def by_absence(model, samples, generator):
    try:
        return trained(model, float((HERE / "other.txt").read_text()))
    except FileNotFoundError:
        return trained(model, 0.5)

def by_folder(model, samples, generator):
    return trained(model, 1.0 + len(list((HERE / "parts").iterdir())))

def by_database(model, samples, generator):
    return trained(model, sqlite3.connect(HERE / "rate.db").execute("select rate from rates").fetchone()[0])

def by_nothing(model, samples, generator):
    kept = HERE / "cache.txt"
    if not kept.exists():
        kept.write_text("0.5")
    return trained(model, float(kept.read_text()))

def trained(model, rate):
    for value in model.parameters():
        value.data.mul_(rate)
    return model
"""


def text(name: str) -> Callable[[Path], None]:
    return lambda home: [(home / name).write_text("0.25")][0] and None


def module(home: Path) -> None:
    (home / "outside_rate.py").write_text("RATE = 0.25  # another\n")
    sys.modules.pop("outside_rate", None)
    importlib.invalidate_caches()


def path(home: Path) -> None:
    (home / "rate.py").write_text("RATE = 0.25\n")


def variable(home: Path) -> None:
    os.environ["OUTSIDE_RATE"] = "0.25"


def part(home: Path) -> None:
    (home / "parts" / "two").write_text("")


def database(home: Path) -> None:
    with sqlite3.connect(home / "rate.db") as connection:
        connection.execute("update rates set rate = 0.25")


CHANGES = {
    "by_file": text("rate.txt"),
    "by_file_once": text("rate.txt"),
    "by_module": module,
    "by_path": path,
    "by_variable": variable,
    "by_getenv": variable,
    "by_absence": text("other.txt"),
    "by_folder": part,
    "by_database": database,
}


@pytest.fixture
def trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    home = tmp_path / "home"
    (home / "parts").mkdir(parents=True)
    (home / "parts" / "one").write_text("")
    (home / "rate.txt").write_text("0.5")
    (home / "rate.py").write_text("RATE = 0.5\n")
    (home / "outside_rate.py").write_text("RATE = 0.5\n")
    with sqlite3.connect(home / "rate.db") as connection:
        connection.execute("create table rates (rate real)")
        connection.execute("insert into rates values (0.5)")
    (home / "outside_trainers.py").write_text(TRAINER)
    monkeypatch.syspath_prepend(home)
    monkeypatch.delenv("OUTSIDE_RATE", raising=False)
    yield importlib.import_module("outside_trainers")
    for name in ("outside_trainers", "outside_rate"):
        sys.modules.pop(name, None)
    os.environ.pop("OUTSIDE_RATE", None)


def reused(trainer: object, out: Path, workers: int = 1) -> int:
    """Return how many of four models were trained before."""
    few = {"recipe": trainer, "checkpoint_every": None, "shadows": 4, "replicates": 4, "engine": "loop"}
    request, store = requested(out, quantizers=[], **few), Store(out / "store")
    whole = plan(request, membership(planted(request), request.settings, None), store)
    whole = replace(whole, quantizers=whole.quantizers[:1], engine=replace(whole.engine, workers=workers))
    return sum(map(len, collect(whole, Local(), store, lambda done: None).reused))


def test_python_looking_for_modules_lists_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "outside_new.py").write_text("RATE = 1\n")
    with watched("import") as observed:
        importlib.import_module("outside_new")
    sys.modules.pop("outside_new")
    assert list(observed.digests()) == [f"file:{tmp_path / 'outside_new.py'}"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_training_function_reads_counts(trainers: ModuleType, tmp_path: Path, name: str, capfd):
    trainer, out = getattr(trainers, name), tmp_path / "out"
    assert reused(trainer, out) == 0
    assert reused(trainer, out) == 4
    if name == "by_file_once":
        trainers.cached.cache_clear()
    CHANGES[name](tmp_path / "home")
    assert reused(trainer, out) == 0
    assert "is not as it was: models that were trained with it are trained again" in capfd.readouterr().err
    assert reused(trainer, out) == 4


def test_what_a_function_writes_itself_does_not(trainers: ModuleType, tmp_path: Path):
    assert reused(trainers.by_nothing, tmp_path / "out") == 0
    (tmp_path / "home" / "rate.txt").write_text("0.25")
    assert reused(trainers.by_nothing, tmp_path / "out") == 4


@pytest.mark.slow
def test_what_other_processes_read_counts(trainers: ModuleType, tmp_path: Path):
    assert reused(trainers.by_file, tmp_path / "out", workers=2) == 0
    assert reused(trainers.by_file, tmp_path / "out") == 4
    (tmp_path / "home" / "rate.txt").write_text("0.25")
    assert reused(trainers.by_file, tmp_path / "out") == 0


@pytest.mark.slow
def test_fresh_starts_over(tmp_path: Path):
    few = {"recipe": qm.Recipe(epochs=1), "checkpoint_every": None, "shadows": 4, "replicates": 4, "quantizers": []}
    found = [run(requested(tmp_path, **few, fresh=fresh), progress=False) for fresh in (False, True, False)]
    assert [each.document.environment.reused for each in found] == [0, 0, 4]


def test_a_file_that_changes_while_it_is_read_is_never_as_it_was(tmp_path: Path):
    file = tmp_path / "rate.txt"
    file.write_text("1")
    with watched("changes") as observed:
        file.read_text()
        file.write_text("22")
    assert observed.digests() == {f"file:{file}": CHANGED}
    assert changes(observed.digests()) == [f"file {file}"]


def test_values_of_variables_are_not_kept_in_the_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OUTSIDE_TOKEN", "a secret")
    with watched("variables") as observed:
        assert os.environ["OUTSIDE_TOKEN"] == "a secret"
        assert os.environ.get("OUTSIDE_NOTHING") is None
    found = observed.digests()
    assert found["variable:OUTSIDE_NOTHING"] == ABSENT
    assert "a secret" not in json.dumps(found)
    assert changes(found) == []


def test_nothing_is_observed_outside_and_what_is_installed_is_known_by_its_version(tmp_path: Path):
    with watched("installed") as observed:
        Path(np.__file__).read_bytes()
        Path(qm.__file__).read_bytes()
        Path(os.__file__).read_bytes()
    (tmp_path / "after").write_text("")
    (tmp_path / "after").read_text()
    assert "OUTSIDE" not in os.environ
    assert observed.digests() == {}


def test_modules_of_layers_that_read_files_count_too(tmp_path: Path):
    (tmp_path / "width").write_text("3")

    def make() -> nn.Module:
        return nn.Linear(64, int((tmp_path / "width").read_text()))

    with watched("models") as observed:
        make()
    assert list(observed.digests()) == [f"file:{tmp_path / 'width'}"]
