"""Claims about `quantmis verify`: an audit that nobody touched is unchanged, and every kind of edit is found."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

import quantmis as qm
from quantmis import results as schema
from quantmis.analysis import analyse
from quantmis.audit.target.target import Target, Version
from quantmis.errors import UserError
from quantmis.measures import NOT_IN_DOCUMENT, measures_of
from quantmis.results.seal import seal, sealed
from quantmis.verify import check, compare, recompute, verify
from quantmis.verify.unchecked import unchecked

SAMPLES = 240
ATTACKS = ["loss_threshold", "lira", "paired_replicates"]


def task(has_recipe: bool = True) -> qm.Task:
    recipe = {"recipe": qm.Recipe(epochs=8, learning_rate=0.02)} if has_recipe else {}
    return qm.Task(model=lambda: nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 2)), **recipe)


def samples() -> qm.Samples:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(SAMPLES, 6)).astype(np.float32)
    return qm.Samples(x, (x[:, 0] + draw.normal(size=SAMPLES) > 0).astype(int))


def given(**options: Any) -> Target:
    rows = np.arange(SAMPLES)
    return Target(task().build(3), members=rows[: SAMPLES // 2], non_members=rows[SAMPLES // 2 :], **options)


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audit a training algorithm, with canaries and checkpoints, and one model with a version made elsewhere."""
    out = tmp_path_factory.mktemp("shadow")
    target = given(versions={"elsewhere": Version(task().build(4), like="sign")})
    qm.audit(
        task(),
        samples(),
        target=target,
        quantizers=["sign", "uniform(bits=4)"],
        attacks=ATTACKS,
        shadows=8,
        canaries=8,
        checkpoint_every=4,
        seed=3,
        engine="stacked",
        out=out,
        progress=False,
    )
    return out


@pytest.fixture(scope="module")
def as_is(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("as-is")
    target = given(versions={"elsewhere": task().build(4)})
    qm.audit(task(), samples(), target=target, quantizers=["sign"], depth="as-is", out=out, progress=False)
    return out


@pytest.fixture(scope="module")
def indicator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("indicator")
    qm.audit(task(), samples(), quantizers=["sign"], depth="indicator", engine="stacked", out=out, progress=False)
    return out


@pytest.fixture
def copy(shadow: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shadow, tmp_path / "audit", ignore=shutil.ignore_patterns("store")))


@pytest.mark.slow
def test_an_audit_that_nobody_touched_is_unchanged(shadow: Path):
    found = verify(shadow)
    assert found.edited == []
    assert found.tables == 3 + 2 + 4  # of the training algorithm, of matched noise, of this model
    assert found.numbers > 500


@pytest.mark.slow
@pytest.mark.parametrize("depth", ["as_is", "indicator"])
def test_every_depth_can_be_verified(depth: str, request: pytest.FixtureRequest):
    found = verify(request.getfixturevalue(depth))
    assert found.edited == []
    assert found.numbers > 30


@pytest.mark.slow
def test_what_is_not_checked_is_named(shadow: Path, as_is: Path):
    for folder in (shadow, as_is):
        told = "\n".join(verify(folder).unchecked)
        assert "target.blind.auc, target.blind.balanced_accuracy: the classifier that never sees the model" in told
        for path in ("config.model", "environment", "data.digest", "target.stated", "target.file"):
            assert path in told


def leaves(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(found, dict | list):
        for step, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield from leaves(value, (*path, step))
    else:
        yield path, found


def altered(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    copied = json.loads(json.dumps(document))
    place = copied
    for step in path[:-1]:
        place = place[step]
    value = place[path[-1]]
    place[path[-1]] = (
        not value if isinstance(value, bool) else value + 2 if isinstance(value, int | float) else "b" * 64
    )
    return copied


@pytest.mark.slow
@pytest.mark.parametrize("depth", ["shadow", "as_is"])
def test_everything_outside_of_what_is_named_is_compared(
    depth: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    folder = request.getfixturevalue(depth)
    document = schema.read(folder)
    saved, known = recompute.read_tables(folder, document), dict[Any, Any]()

    def remembered(tables: Any, references: Any, settings: Any) -> Any:
        key = id(tables), str(settings)
        return known[key] if key in known else known.setdefault(key, analyse(tables, references, settings))

    monkeypatch.setattr(recompute, "analyse", remembered)
    written = document.model_dump(mode="json", exclude_none=True)
    named = [path for each in unchecked(document) for path in each.paths]
    passed = []
    for path, _ in leaves({key: written[key] for key in ("config", "data", "target", "warnings", "ranking")}):
        if {"measures", "attacks"} & set(path) and path[0] == "target":
            continue  # numbers have tests of their own
        try:
            changed = schema.Results.model_validate(altered(written, path))
            _, found = check._numbers(changed, saved)
        except (UserError, ValidationError):
            continue
        if not found:
            passed.append(".".join(map(str, path)))
    assert passed
    assert [path for path in passed if not any(path.startswith(each) for each in named)] == []


# edits of the document


def edit(folder: Path, change: Callable[[dict[str, Any]], None], reseal: bool = False) -> None:
    path = folder / "results.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    if reseal:
        content["environment"]["seal"] = seal(path.read_bytes())
        path.write_text(json.dumps(content))


def better(content: dict[str, Any]) -> None:
    content["versions"][1]["measures"]["utility"]["value"] += 1e-6


def counted(content: dict[str, Any]) -> None:
    content["versions"][1]["measures"]["bits_per_weight"] -= 1e-6


def too_strong(content: dict[str, Any]) -> None:
    content["attacks"]["lira"]["bounds_security"] = False


def other_rank(content: dict[str, Any]) -> None:
    content["ranking"]["rows"].reverse()


def no_finding(content: dict[str, Any]) -> None:
    content["warnings"] = [each for each in content["warnings"] if each["code"] != "QM002"]


def passed(content: dict[str, Any]) -> None:
    content["controls"][1]["found"]["value"] += 1e-8  # the first is a count, whose interval is one number


def of_this_model(content: dict[str, Any]) -> None:
    content["target"]["versions"][1]["attacks"]["lira"]["adaptive"]["measures"]["auc"]["value"] += 1e-8


def members(content: dict[str, Any]) -> None:
    content["target"]["members"] += 1


def non_members(content: dict[str, Any]) -> None:
    content["target"]["non_members"] += 1


def another_model(content: dict[str, Any]) -> None:
    content["target"]["digest"] = "ab" * 32


def another_file(content: dict[str, Any]) -> None:
    content["target"]["file"] = "ab" * 32


def called_otherwise(content: dict[str, Any]) -> None:
    content["target"]["name"] = "another.safetensors"


def held_out(content: dict[str, Any]) -> None:
    content["data"]["held_out"] += 1


def classes(content: dict[str, Any]) -> None:
    content["data"]["classes"] += 1


def made_elsewhere(content: dict[str, Any]) -> None:
    content["target"]["versions"][-1]["attacks"]["lira"]["adaptive"]["measures"]["auc"]["value"] += 1e-8


def apart(content: dict[str, Any]) -> None:
    content["target"]["blind"]["differs"] = not content["target"]["blind"]["differs"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "where"),
    [
        (better, "versions.sign.measures.utility.value"),
        (counted, "versions.sign.measures.bits_per_weight"),
        (too_strong, "attacks.lira.bounds_security"),
        (other_rank, "ranking.rows"),
        (no_finding, "warnings"),
        (passed, "controls.shuffled membership"),
        (of_this_model, "target.versions.sign.attacks.lira.adaptive.measures.auc.value"),
        (members, "target.members"),
        (non_members, "target.non_members"),
        (another_model, "target.digest"),
        (another_file, "target.file"),
        (called_otherwise, "target.name"),
        (held_out, "data.held_out"),
        (classes, "data.classes"),
        (made_elsewhere, "target.versions.elsewhere.attacks.lira.adaptive.measures.auc.value"),
        (apart, "target.blind.differs"),
    ],
)
def test_an_edited_number_is_named_even_where_the_seal_was_renewed(
    copy: Path, change: Callable[[dict[str, Any]], None], where: str
):
    edit(copy, change, reseal=True)
    [*found] = verify(copy).edited
    assert any(line.startswith(where) for line in found), found
    assert not any("sealed" in line for line in found)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["config", "data", "reproduce", "environment"])
def test_an_edit_of_what_the_tables_do_not_determine_breaks_the_seal(copy: Path, key: str):
    field = {"config": "model", "data": "digest", "reproduce": "python", "environment": "device"}[key]
    edit(copy, lambda content: content[key].update({field: "ab" * 32}))
    assert verify(copy).edited == [
        "results.json was edited: it does not have the digest that it was sealed with",
        "report.html is not the page that results.json gives; `quantmis report` writes it again",
    ]


@pytest.mark.slow
def test_another_seed_or_level_gives_other_numbers(copy: Path):
    edit(copy, lambda content: content["config"].update(level=0.9), reseal=True)
    assert len(verify(copy).edited) > 20


@pytest.mark.slow
def test_spaces_and_the_order_of_keys_are_no_edit(copy: Path):
    path = copy / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))
    assert verify(copy).edited == []
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert not [line for line in verify(copy).edited if line.startswith("results.json")]


@pytest.mark.slow
def test_a_seal_that_was_removed_is_an_edit(copy: Path):
    edit(copy, lambda content: content["environment"].pop("seal"))
    assert verify(copy).edited[0].startswith("results.json has no seal, and every audit writes one")


ELSEWHERE = ("perplexity", "canary_exposure", "extract", "secrets", "forg", "retained", "certified", "epsilon_shown")
"""How measures begin that mean something for texts, canaries, forgetting and private training alone."""


def called_earlier(content: dict[str, Any]) -> None:
    measures = content["versions"][1]["measures"]
    measures.update({each: {"reason": NOT_IN_DOCUMENT.reason} for each in measures})


def left_out(content: dict[str, Any]) -> None:
    content["versions"][1]["measures"].clear()


@pytest.mark.slow
@pytest.mark.parametrize("change", [called_earlier, left_out])
def test_no_number_can_be_called_one_of_an_earlier_version_or_left_out(
    copy: Path, change: Callable[[dict[str, Any]], None]
):
    measured = set(schema.read(copy).version("sign").measures)
    assert measured == {each for each in measures_of("version") if not each.startswith(ELSEWHERE)}
    edit(copy, change, reseal=True)
    paths = [line.partition(":")[0].split(".") for line in verify(copy).edited]
    assert {path[3] for path in paths if path[:3] == ["versions", "sign", "measures"]} == measured


# the page and what else lies in the folder


@pytest.mark.slow
def test_a_page_that_was_edited_is_named(copy: Path):
    path = copy / "report.html"
    path.write_text(path.read_text(encoding="utf-8").replace("right 5", "right 4") + " ", encoding="utf-8")
    [line] = verify(copy).edited
    assert line.startswith("report.html is not the page that results.json gives")


@pytest.mark.slow
def test_a_page_of_other_versions_or_none_is_not_checked_and_said_to_be_so(copy: Path):
    path = copy / "report.html"
    path.write_text(path.read_text(encoding="utf-8").replace("matplotlib ", "matplotlib 0."), encoding="utf-8")
    found = verify(copy)
    assert found.edited == []
    assert "report.html: it was rendered by quantmis" in found.unchecked[0]
    path.unlink()
    assert verify(copy).unchecked[0] == "report.html: there is none in the folder"


@pytest.mark.slow
def test_what_is_written_again_from_an_edited_document_says_so(copy: Path):
    edit(copy, lambda content: content["config"].update(model="another"))
    done = subprocess.run(
        [sys.executable, "-m", "quantmis", "report", str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr.startswith("warning: results.json was edited")
    assert "results.json was edited" in (copy / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_documents_and_tables_that_are_not_checked_are_named(copy: Path):
    (copy / "report.md").write_text("# all is well")
    shutil.copy(copy / "tables" / "sign.npz", copy / "tables" / "other.npz")
    told = "\n".join(verify(copy).unchecked)
    assert "report.md: report.html alone is rendered again" in told
    assert verify(copy).edited == ["tables/other.npz: results.json names no such table"]


@pytest.mark.slow
def test_a_target_that_was_taken_out_leaves_its_tables(copy: Path):
    edit(copy, lambda content: content.update(target={"reason": "no trained model was given"}), reseal=True)
    assert "tables/target/identity.npz: results.json names no such table" in verify(copy).edited


@pytest.mark.slow
def test_what_the_schema_does_not_know_is_an_edit(copy: Path):
    def noted(content: dict[str, Any]) -> None:
        content["versions"][0]["measures"]["utility"]["note"] = "reviewed by hand"

    edit(copy, noted, reseal=True)
    assert "versions.identity.measures.utility.note: no audit writes such a thing" in verify(copy).edited


@pytest.mark.slow
def test_a_key_that_comes_twice_is_no_document(copy: Path):
    path = copy / "results.json"
    path.write_text(path.read_text().replace('"data":', '"data": {}, "data":', 1))
    with pytest.raises(UserError, match=r"no valid result: .*'data' comes twice"):
        verify(copy)


@pytest.mark.slow
def test_the_file_that_was_audited_is_told_from_others(tmp_path: Path):
    model, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    save_file(task().build(3).state_dict(), model)
    save_file(task().build(4).state_dict(), other)
    rows = np.arange(SAMPLES)
    target = Target(model, rows[:120], rows[120:])
    qm.audit(task(), samples(), target=target, quantizers=[], depth="as-is", out=tmp_path / "out", progress=False)
    found = verify(tmp_path / "out", model)
    assert (found.edited, [line for line in found.unchecked if "target.file" in line]) == ([], [])
    [line] = verify(tmp_path / "out", other).edited
    assert line.startswith("other.safetensors is not a file that was audited: its SHA-256 is ")


# edits of the tables


def rewrite(path: Path, **changes: Any) -> None:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(path, **{**arrays, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("table", ["tables/sign.npz", "tables/target/uniform_bits_4.npz"])
def test_an_edited_table_is_named(copy: Path, table: str):
    with np.load(copy / table, allow_pickle=False) as file:
        losses = file["losses"].copy()
    losses[0, 0] += 1e-6
    rewrite(copy / table, losses=losses)
    assert verify(copy).edited == [f"{table} is not the table that results.json was computed from"]


@pytest.mark.slow
@pytest.mark.parametrize("trait", ["bits_per_weight", "fingerprint", "per_sample_utility", "is_audited"])
def test_the_digest_covers_everything_in_a_table(copy: Path, trait: str):
    path = copy / "tables" / "sign.npz"
    with np.load(path, allow_pickle=False) as file:
        array = file[trait].copy()
    array[0] = ~array[0] if array.dtype == bool else (array[0] * 2 + 1 if array.dtype.kind == "f" else "0")
    rewrite(path, **{trait: array})
    assert verify(copy).edited == ["tables/sign.npz is not the table that results.json was computed from"]


@pytest.mark.slow
def test_a_table_of_matched_noise_shows_in_its_control(copy: Path):
    path = copy / "tables" / "matched_noise_of_sign.npz"
    with np.load(path, allow_pickle=False) as file:
        signal = file["signal"] + np.random.default_rng(0).normal(size=file["signal"].shape).astype(np.float32)
    rewrite(path, signal=signal)
    found = verify(copy).edited
    assert found
    assert all(line.startswith("controls.matched noise") for line in found)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 truncated"])
def test_a_damaged_table_is_named(copy: Path, content: bytes):
    (copy / "tables" / "identity.npz").write_bytes(content)
    [line] = verify(copy).edited
    assert line.startswith("tables/identity.npz cannot be read as a table")


@pytest.mark.slow
def test_a_pickle_in_a_table_is_not_opened(copy: Path):
    rewrite(copy / "tables" / "identity.npz", metric=np.array([Trap()], dtype=object))
    [line] = verify(copy).edited
    assert "cannot be read as a table" in line
    assert not (copy / "sprung").exists()


class Trap:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a pickle was opened')",)


@pytest.mark.slow
def test_a_table_elsewhere_is_not_opened(copy: Path):
    edit(copy, lambda content: content["versions"][0].update(table="../../../etc/passwd"), reseal=True)
    assert "names '../../../etc/passwd'" in verify(copy).edited[0]


# what cannot be verified


@pytest.mark.slow
def test_a_missing_table_or_document_cannot_be_verified(copy: Path):
    (copy / "tables" / "sign.npz").unlink()
    with pytest.raises(UserError, match="there is no table") as raised:
        verify(copy)
    assert "whole folder" in str(raised.value.hint)
    with pytest.raises(UserError, match="cannot read"):
        verify(copy / "absent")


@pytest.mark.slow
def test_an_attack_that_is_not_installed_cannot_be_verified(copy: Path):
    edit(copy, lambda content: content["config"].update(attacks=["mine"]), reseal=True)
    with pytest.raises(UserError, match="unknown attack 'mine'"):
        verify(copy)


# the command


def command(folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "quantmis", "verify", str(folder)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_ends_with_zero_one_or_two(copy: Path):
    done = command(copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("unchanged: 9 tables, ")
    edit(copy, better, reseal=True)
    done = command(copy)
    assert done.returncode == 1
    assert done.stdout.startswith("edited: versions.sign.measures.utility.value: ")
    shutil.rmtree(copy / "tables")
    done = command(copy)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_differences_are_found_at_any_depth():
    one = {"a": [1.0, {"name": "x", "b": True}], "c": None}
    assert list(compare.differences(one, one)) == []
    found = list(compare.differences(one, {"a": [1.0 + 1e-8, {"name": "x", "b": 1}], "d": "new"}))
    assert [line.partition(":")[0] for line in found] == ["a.0", "a.x.b", "d"]
    assert list(compare.differences([1.0], [1.0 + 1e-10])) == []
    assert list(compare.differences([1.0], [1.0, 2.0]))


def test_sealing_twice_gives_the_same_seal(shadow: Path):
    document = schema.read(shadow / "results.json")
    assert sealed(document) == document
