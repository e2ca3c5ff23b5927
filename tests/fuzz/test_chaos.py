"""`make chaos` fails where nothing was tested."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program, without its misfortunes."""
    monkeypatch.syspath_prepend(FOLDER)
    found = importlib.util.spec_from_file_location("chaos", FOLDER / "chaos.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "chaos", module)
    found.loader.exec_module(module)
    monkeypatch.setattr(module, "MISFORTUNES", {})
    monkeypatch.setattr(module.Chaos, "check", lambda self, number, name: None)
    yield module
    for name in ("_results", "misfortunes"):
        sys.modules.pop(name, None)


def outcome(harmed: dict[str, int], code: int, struck: bool) -> SimpleNamespace:
    return SimpleNamespace(harmed=harmed, code=code, struck=struck)


def outcomes(*struck: bool, code: int = 0, harmed: dict[str, int] | None = None):
    """Return a misfortune that strikes in its turn."""
    turns = iter(struck)
    return lambda chaos, number: outcome(harmed or {}, code, next(turns))


def chaos(program: ModuleType, home: Path):
    return program.Chaos(home, np.random.default_rng(0))


def test_every_misfortune_strikes_even_where_there_is_no_time(program: ModuleType, tmp_path: Path):
    program.MISFORTUNES |= {"one": outcomes(True), "two": outcomes(False, False, True)}
    run = chaos(program, tmp_path)
    run.abuse(seconds=0)
    assert run.struck == {"one": 1, "two": 1}
    assert run.done == {"one": 1, "two": 3}
    assert run.well == 4


def test_a_misfortune_that_never_strikes_is_a_breach(program: ModuleType, tmp_path: Path):
    program.MISFORTUNES |= {"one": outcomes(*[False] * 100)}
    with pytest.raises(program.Breach, match="never struck"):
        chaos(program, tmp_path).abuse(seconds=0)


def test_a_finished_group_that_is_gone_is_a_breach(program: ModuleType, tmp_path: Path):
    run = chaos(program, tmp_path)
    group = run.out / "store" / "group.safetensors"
    group.parent.mkdir(parents=True)
    group.write_bytes(b"")

    def loses(_chaos: object, _number: int):
        group.unlink()
        return outcome({}, 0, True)

    program.MISFORTUNES |= {"one": loses}
    with pytest.raises(program.Breach, match="lost"):
        run.abuse(seconds=0)


@pytest.mark.parametrize("harmed", [True, False])
def test_a_group_harmed_rounds_ago_may_be_computed_again_once_and_no_other(
    program: ModuleType, tmp_path: Path, harmed: bool
):
    run = chaos(program, tmp_path)
    group = run.out / "store" / "group.safetensors"
    group.parent.mkdir(parents=True)
    group.write_bytes(b"")
    harms = {group.name: group.stat().st_mtime_ns} if harmed else None

    def computes_again(_chaos: object, _number: int):
        os.utime(group, ns=(1, group.stat().st_mtime_ns + 1))
        return outcome({}, 0, True)

    program.MISFORTUNES |= {"harm": outcomes(True, harmed=harms), "peace": computes_again}
    if harmed:
        run.abuse(seconds=0)
    with pytest.raises(program.Breach, match="computed again"):
        run.round("peace") if harmed else run.abuse(seconds=0)
