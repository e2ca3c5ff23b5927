"""Claims about stored measures: computed once for the same tables and code, never believed where they are broken."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from edited_code import forget
from safetensors.torch import safe_open, save_file

from quantmis.analysis import AnalysisSettings, SubjectAnalysis, analyse, recall, subject
from quantmis.analysis import controls as tests_of_itself
from quantmis.analysis.controls import controls
from quantmis.analysis.recall import anew
from quantmis.analysis.scoring import each_other
from quantmis.attacks import LiRA, LossThreshold
from quantmis.audit.execution import own_code
from quantmis.audit.execution.measured import CODE, StoredMeasures
from quantmis.audit.execution.store import Store, _checksum
from quantmis.evidence import Evidence
from quantmis.results import Control
from quantmis.tables import LossTable, VersionTraits

MODELS, SAMPLES, HELD_OUT = 8, 120, 20
SETTINGS = AnalysisSettings((LossThreshold(), LiRA()), MODELS, 0, 0, 0.95, release=())
TOGETHER = replace(SETTINGS, release=None)
NOT_AGAIN = "what was known was computed again"


def table(name: str, noise: float) -> LossTable:
    """Models that remember, through a version that adds noise."""
    draw, half = np.random.default_rng(0), (SAMPLES - HELD_OUT) // 2
    sides = draw.permuted(np.tile(np.arange(2 * half) < half, (MODELS // 2, 1)), axis=1)
    member = np.zeros((MODELS, SAMPLES), dtype=bool)
    member[:, HELD_OUT:] = np.stack([sides, ~sides], axis=1).reshape(MODELS, -1)
    losses = np.abs(draw.normal(size=member.shape)) + 1 - member + noise * draw.normal(size=member.shape)
    held_out = np.arange(SAMPLES) < HELD_OUT
    traits = tuple(VersionTraits(f"{index:064d}", 32.0, 0.0, 10, []) for index in range(MODELS))
    return LossTable(name, Evidence(losses, member), losses, None, "r2", traits, ~held_out, held_out)


TABLES = [table("identity", 0.0), table("sign", 1.0)]


def analysed(known: recall.Recall, *tables: LossTable, asked: AnalysisSettings = SETTINGS) -> SubjectAnalysis:
    every = list(tables) or TABLES
    return analyse(every, each_other(every), asked, recall=known)


def said(found: SubjectAnalysis) -> tuple[list[str], list[bytes]]:
    """All that is made of an analysis."""
    records = [each.model_dump_json() for each in (*found.records, *found.releases, found.ranking(0.95))]
    rights = [each.bound.right for each in found.scored]
    return records, [each.influence.tobytes() for each in rights if each is not None]


def forbidden(*_: object, **__: object) -> None:
    pytest.fail(NOT_AGAIN)


@cache
def expected(asked: AnalysisSettings) -> tuple[tuple[list[str], list[bytes]], list[Control]]:
    """What is found by computing everything."""
    return said(analysed(anew, asked=asked)), controls(TABLES, [], asked)


@pytest.fixture
def same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own code is not read, which takes seconds and has a test of its own."""
    monkeypatch.setattr(StoredMeasures, "_code", lambda self, kind: "the same")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the measures of two tables, of both together and their controls are."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StoredMeasures, "_code", lambda self, kind: "the same")
        stored = StoredMeasures(Store(folder), SETTINGS.attacks)
        analysed(stored, asked=SETTINGS)
        analysed(stored, asked=TOGETHER)
        controls(TABLES, [], TOGETHER, stored)
    return folder


@pytest.fixture
def known(filled: Path, tmp_path: Path, same_code: None) -> StoredMeasures:
    """A copy of that store."""
    return StoredMeasures(Store(Path(shutil.copytree(filled, tmp_path / "store"))), SETTINGS.attacks)


def test_what_is_known_is_computed_no_more_and_is_the_same_to_the_last_bit(
    known: StoredMeasures, monkeypatch: pytest.MonkeyPatch
):
    found, tested = expected(TOGETHER)
    for module, name in ((subject, "describe"), (subject, "score_release"), (tests_of_itself, "evaluate")):
        monkeypatch.setattr(module, name, forbidden)
    assert said(analysed(known, asked=TOGETHER)) == found
    assert controls(TABLES, [], TOGETHER, known) == tested
    assert not known.damaged


def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the versions that are described from here on."""
    names, real = list[str](), subject.describe
    monkeypatch.setattr(subject, "describe", lambda version: names.append(version.table.name) or real(version))
    return names


@pytest.mark.parametrize(
    ("tables", "asked", "computed"),
    [
        ([*TABLES, table("ternary(sparsity=0.9)", 2.0)], SETTINGS, ["ternary(sparsity=0.9)"]),
        ([TABLES[0], replace(TABLES[1], traits=(TABLES[0].traits[1], *TABLES[1].traits[1:]))], SETTINGS, ["sign"]),
        ([table("identity", 0.1), TABLES[1]], SETTINGS, ["identity", "sign"]),
        (TABLES, replace(SETTINGS, level=0.9, attacks=(LossThreshold(),)), ["identity", "sign"]),
    ],
    ids=["another version", "traits", "full precision", "level and attacks"],
)
def test_only_what_depends_on_a_change_is_computed(
    known: StoredMeasures,
    monkeypatch: pytest.MonkeyPatch,
    tables: list[LossTable],
    asked: AnalysisSettings,
    computed: list[str],
):
    found, names = said(analysed(anew, *tables, asked=asked)), described(monkeypatch)
    assert said(analysed(known, *tables, asked=asked)) == found
    assert names == computed


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def forged(file: Path) -> None:
    """Write something else, under a checksum that is right."""
    with safe_open(file, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name)[:1] for name in stored.keys()} | {"more": torch.zeros(1)}  # noqa: SIM118
    words = {"text": '{"measures": {"auc": 7}}'}
    save_file(tensors, file, {**words, "checksum": _checksum(f"measures {file.stem}", tensors, words)})


@pytest.mark.parametrize("harm", [cut, flipped, pytest.param(forged, marks=pytest.mark.slow)])
def test_what_is_broken_is_computed_again_and_it_is_said(
    known: StoredMeasures, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
):
    files = sorted((known.store.folder / "measures").iterdir())
    for file in files:
        harm(file)
    for stored, damaged in ((known, len(files)), (StoredMeasures(known.store, SETTINGS.attacks), 0)):
        assert (said(analysed(stored, asked=TOGETHER)), controls(TABLES, [], TOGETHER, stored)) == expected(TOGETHER)
        assert len(stored.damaged) == damaged
        assert len(re.findall("stored .*it is computed again", capsys.readouterr().err)) == damaged


def test_a_disk_that_is_full_leaves_no_half_of_an_entry(
    tmp_path: Path, same_code: None, monkeypatch: pytest.MonkeyPatch
):
    stored = StoredMeasures(Store(tmp_path), SETTINGS.attacks)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="cannot write"):
        analysed(stored)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.slow
def test_what_decides_a_measure_counts_and_nothing_else(copied: Path, tmp_path: Path):
    def codes() -> dict[str, str]:
        forget()
        return {kind: StoredMeasures(Store(tmp_path), SETTINGS.attacks)._code(kind) for kind in CODE}

    for file, old, new, changes in (
        ("stats/cluster.py", "USUAL, PRIOR = 1.5, 2.0", "USUAL, PRIOR = 1.6, 2.0", set(CODE)),
        ("measures/security.py", "DRAWS = 4000", "DRAWS = 5000", {"version", "figures"}),
        ("measures/release_gain.py", "Measure[", "(Measure)[", set[str]()),
        ("measures/release_gain.py", "(joint, single,", "(single, joint,", {"release set"}),
        ("analysis/controls.py", "PLANTED = 6.0", "PLANTED = 5.0", {"control"}),
        ("report/charts.py", "LETTER = 5.6", "LETTER = 5.7", {"figures"}),
        ("stats/roc.py", "some are NaN or infinite", "some are no numbers", set[str]()),
        ("attacks/lira.py", '"""', '""" ', set[str]()),
        ("quantizers/sign.py", "weight < 0", "weight <= 0", set[str]()),
    ):
        before, path = codes(), copied / file
        text = path.read_text()
        assert old in text, file
        path.write_text(text.replace(old, new, 1))
        after = codes()
        assert {kind for kind in CODE if after[kind] != before[kind]} == changes, file


def test_sources_are_read_once_and_again_where_they_were_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was read is believed by the bytes of a source alone, and not from a file that does not verify."""
    monkeypatch.setattr(own_code, "_BEFORE", {})
    source, file = tmp_path / "source.py", tmp_path / "store" / "sources.json"
    source.write_text("def half(x): return x / 2")
    with own_code.remembered(file):
        first = own_code._read.__wrapped__(source)
    own_code._BEFORE.clear()
    with monkeypatch.context() as patched, own_code.remembered(file):
        patched.setattr(own_code.ast, "parse", forbidden)
        assert own_code._read.__wrapped__(source) == first
    file.write_bytes(file.read_bytes().replace(first.decisive.encode(), b"0" * 64))
    own_code._BEFORE.clear()
    with own_code.remembered(file):
        assert own_code._read.__wrapped__(source) == first
        source.write_text("def half(x): return x / 3")
        assert own_code._read.__wrapped__(source) != first
