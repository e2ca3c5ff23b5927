"""Claims about results.json: it is read back whole, or refused with a reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from documents import document

from quantmis import results
from quantmis.errors import UserError
from quantmis.measures import NOT_IN_DOCUMENT
from quantmis.measures.utility import UTILITY
from quantmis.results.seal import sealed, sealing


@pytest.fixture
def written(tmp_path: Path) -> Path:
    results.write(document(), tmp_path / "results.json")
    return tmp_path / "results.json"


def test_only_what_has_no_number_or_is_a_bound_has_a_reason(written: Path):
    """Programs tell a number from a gap by whether there is a `reason`."""
    content = json.loads(written.read_text())
    measures = content["versions"][0]["measures"] | attack(content)["measures"]
    unmeasured = {name for name, value in measures.items() if isinstance(value, dict) and "reason" in value}
    assert unmeasured == {"security", "attack_accuracy_change", "utility_change"}
    assert ["reason" in rate for rate in measures["tpr_at_fpr"]] == [False, False, True]
    assert "null" not in written.read_text()


def test_a_measure_that_nobody_declared_is_refused():
    with pytest.raises(UserError, match="unknown measure 'utilty'") as refused:
        results.parse(edited(lambda d: d["versions"][0]["measures"].update(utilty=0.5)))
    assert "utility" in str(refused.value)


def test_a_document_is_read_back_the_same(written: Path):
    assert results.read(written) == document()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema_version": 2', '"schema_version": 3', "has schema version 3; this quantmis reads version 2"),
        ('"low":', '"low": 9e9, "was":', "must lie in its interval|quantizers"),
        ('"seed":', '"sed":', "config"),
        ('"value":', '"value": NaN, "was":', "finite|no valid result"),
        ('"name": "sign"', '"name": "identity"', "the ranking names other quantizers"),
        ("{", "[", "no valid result"),
    ],
)
def test_a_document_that_was_harmed_is_refused(written: Path, old: str, new: str, message: str):
    text = written.read_text()
    assert old in text
    written.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as refused:
        results.read(written)
    assert str(written) in str(refused.value)
    assert refused.value.hint


def edited(change: Callable[[dict[str, Any]], None]) -> bytes:
    content = json.loads(results.to_bytes(document()))
    change(content)
    return json.dumps(content).encode()


def _of_utility(content: dict[str, Any], metric: str, value: float) -> None:
    content["versions"][0]["utility_metric"] = metric
    content["versions"][0]["measures"]["utility"].update(value=value, low=value - 0.1, high=value + 0.1)


def attack(content: dict[str, Any]) -> dict[str, Any]:
    return content["versions"][0]["attacks"]["lira"]["adaptive"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["versions"][0]["measures"]["security_upper_bound"].update(value=5, low=4, high=6),
            "between 0 and 1",
        ),
        (
            lambda d: d["versions"][0]["measures"]["utility"].update(value=5, low=4, high=6),
            "measures.utility: a value between 0 and 1",
        ),
        (
            lambda d: d["versions"][0]["measures"]["indicator"].update(high=1e308),
            "versions.identity.measures.indicator: an interval",
        ),
        (lambda d: d["versions"][0]["measures"].update(sparsity=1.5), "measures.sparsity: a value between 0 and 1"),
        (lambda d: d["versions"][0]["measures"].update(bits_per_weight=-1.0), "measures.bits_per_weight: a value"),
        (lambda d: d["versions"][0]["measures"].update(distortion=5.0), "measures.distortion: a value between 0 and 1"),
        (lambda d: _of_utility(d, "r2", 1.2), "measures.utility: a value between -1e.100 and 1"),
        (lambda d: _of_utility(d, "log_likelihood", 0.3), "measures.utility: a value between -1e.100 and 0"),
        (
            lambda d: d["versions"][1]["measures"]["utility_change"].update(value=-1.7, low=-1.9, high=-1.6),
            "measures.utility_change: a value between -1 and 1",
        ),
        (lambda d: d["versions"][0].update(distinct=65), "65 different models of 64"),
        (lambda d: d["config"].update(level=7), "config.level: a probability"),
        (lambda d: d["data"].update(samples=-5), "data.samples: a number of things"),
        (lambda d: d["data"].update(held_out=10**30), "data.held_out: a number of things"),
        (lambda d: d["data"].update(digest="none"), "data.digest: a SHA-256"),
        (lambda d: d["environment"].update(started="<b>"), "environment.started: a date"),
        (lambda d: d["environment"]["seconds"].update(training=-1), "environment.seconds.training: a duration"),
        (lambda d: attack(d)["measures"]["tpr_at_fpr"][0].update(fpr=0), "a false positive rate lies between 0 and 1"),
        (
            lambda d: attack(d)["measures"]["tpr_at_fpr"][2].update(fpr=-0.1),
            "a false positive rate lies between 0 and 1",
        ),
        (lambda d: attack(d)["roc"]["tpr"].pop(), "two lists of one length"),
        (lambda d: attack(d)["roc"]["tpr"].reverse(), "rise from 0 to 1"),
        (lambda d: attack(d)["roc"].update(fpr=[], tpr=[]), "two lists of one length"),
        (lambda d: d["ranking"]["rows"].append(d["ranking"]["rows"][0]), "names a quantizer twice"),
        (lambda d: d["ranking"]["rows"][0].update(tied=["identity"]), "with each other"),
        (lambda d: d["ranking"]["rows"][0].update(rank=0), "a rank of the ranking"),
    ],
)
def test_numbers_that_no_audit_writes_are_refused(change: Callable[[dict[str, Any]], None], message: str):
    with pytest.raises(UserError, match=message) as refused:
        results.parse(edited(change))
    assert refused.value.hint


def test_the_place_of_a_fault_is_printed_without_what_cannot_be_seen():
    harmed = json.loads(results.to_bytes(document({"evil\u202ename": 0.5})))
    harmed["versions"][0]["measures"]["utility"].update(value=5, low=4, high=6)
    with pytest.raises(UserError, match=r"versions\.evil\?name\.measures\.utility"):
        results.parse(json.dumps(harmed).encode())


def test_a_symmetric_interval_may_reach_beyond_what_is_possible():
    wide = lambda d: d["versions"][1]["measures"]["attack_accuracy_change"].update(value=0.9, low=0.7, high=1.1)  # noqa: E731
    assert results.parse(edited(wide))


def test_a_seal_is_intact_broken_or_missing():
    whole = sealed(document())
    assert sealing(whole, results.to_bytes(whole)) == "intact"
    assert sealing(whole, results.to_bytes(whole).replace(b"DigitsMLP", b"Another")) == "broken"
    assert sealing(document(), results.to_bytes(document())) == "missing"


def test_a_truncated_document_is_refused(written: Path):
    whole = written.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 5):
        written.write_bytes(whole[:size])
        with pytest.raises(UserError, match="no valid result"):
            results.read(written)


def test_what_cannot_be_read_or_written_says_so(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        results.read(tmp_path)
    with pytest.raises(UserError, match="cannot write"):
        results.write(document(), tmp_path / "none" / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_the_schema_of_the_document_is_published():
    assert "versions" in results.json_schema()["properties"]


def test_a_measure_is_read_by_its_name_and_an_unknown_name_is_refused():
    record = document().versions[0]
    assert record["utility"] is record[UTILITY] is record.measures["utility"]
    assert record["canary_exposure"] == NOT_IN_DOCUMENT
    with pytest.raises(UserError, match="did you mean 'utility'"):
        record["utilty"]
