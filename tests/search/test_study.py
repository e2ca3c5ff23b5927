"""Claims about the engine: the same search after any interruption, and a journal that is whole or refused."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from quantmis.audit.search_options import SearchOptions
from quantmis.errors import UserError
from quantmis.quantizers import Quantizer, Sign
from quantmis.registry import spelling
from quantmis.search import study
from quantmis.search.judging import Judged
from quantmis.search.space import Space, space_of
from quantmis.search.study import JOURNAL, Search, Tried
from quantmis.stats import Estimate

ENOUGH = 45


def space() -> Space:
    return space_of(SearchOptions.of(families=["uniform", "ternary", "sign"], bits=[2, 3, 4, 8]), ("a", "b"))


def worth(quantizer: Quantizer) -> Judged:
    """Return numbers that are fixed by the name of a quantizer, and look drawn."""
    words = sha256(spelling(quantizer).encode()).digest()
    exposure, utility, bits = (each / 255 for each in words[:3])
    estimates = [Estimate(each, each - 0.1, each + 0.1) for each in (exposure, utility, utility - 1)]
    return Judged(*estimates, bits=8 * bits, shortfalls={"utility_at_least": 0.3 - utility})


def begun(folder: Path, name: str = "one") -> Search:
    return Search(folder, name, space(), 0, space().starts(0, [Sign()])[:8])


def finished(folder: Path, count: int = ENOUGH) -> Search:
    search = begun(folder)
    while len(search.tried) < count:
        search.step(worth)
    return search


def plainly(tried: list[Tried]) -> list[tuple[int, str, tuple[float, float, float]]]:
    return [(each.number, each.quantizer, each.judged.objectives) for each in tried]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return finished(tmp_path_factory.mktemp("whole"))


def stops() -> Iterator[int]:
    yield from (3, 11, 20, 26, 37)


def test_a_search_that_was_stopped_five_times_ends_with_the_same_front(tmp_path: Path, whole: Search):
    def interrupting(quantizer: Quantizer) -> Judged:
        raise KeyboardInterrupt

    def interrupted(search: Search) -> None:
        for _ in range(ENOUGH):  # what was tried before is not asked again
            search.step(interrupting)

    for stop in stops():
        search = begun(tmp_path)
        while len(search.tried) < stop:
            search.step(worth)
        with pytest.raises(KeyboardInterrupt):
            interrupted(search)
    again = finished(tmp_path)
    assert plainly(again.tried) == plainly(whole.tried)
    assert plainly(again.front()) == plainly(whole.front())
    assert len({each.quantizer for each in again.tried}) > ENOUGH / 2


def test_the_front_is_that_of_comparing_all_with_all(whole: Search):
    def beats(one: Tried, other: Tried) -> bool:
        (a, b, c), (x, y, z) = one.judged.objectives, other.judged.objectives
        return a <= x and b >= y and c <= z and (a, b, c) != (x, y, z)

    good = [each for each in whole.tried if each.judged.is_within]
    front = {each.quantizer for each in good if not any(beats(other, each) for other in good)}
    assert {each.quantizer for each in whole.front()} == front
    assert 1 < len(front) < len(good) < len(whole.tried)


def test_a_longer_search_begins_with_the_shorter_one(tmp_path: Path, whole: Search):
    finished(tmp_path, 25)
    assert plainly(finished(tmp_path, 30).tried) == plainly(whole.tried)[:30]


def test_what_was_tried_is_not_measured_again(tmp_path: Path):
    asked: list[str] = []

    def heard(quantizer: Quantizer) -> Judged:
        asked.append(spelling(quantizer))
        return worth(quantizer)

    for _ in range(2):
        search = begun(tmp_path)
        for _ in range(20):
            search.step(heard)
    assert len(asked) == len(set(asked))


def test_a_line_that_was_cut_off_while_it_was_written_is_left_out(tmp_path: Path, whole: Search):
    finished(tmp_path, 12)
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-30])
    assert len(begun(tmp_path).tried) == 11
    assert plainly(finished(tmp_path, 14).tried) == plainly(whole.tried)[:14]


def test_a_search_for_something_else_begins_anew_in_the_same_journal(tmp_path: Path):
    finished(tmp_path, 3)
    assert begun(tmp_path, "another").tried == []
    assert len(begun(tmp_path).tried) == 3


@pytest.mark.parametrize(
    "content", [b"{}\n", b"not a journal\n", b"\xff\xfe\n\n", b'{"op_code": 99, "worker_id": "a"}\n']
)
def test_a_journal_that_is_damaged_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / JOURNAL).write_bytes(content)
    with pytest.raises(UserError, match="is damaged") as caught:
        begun(tmp_path)
    assert "nothing is trained again" in str(caught.value.hint)


def test_a_journal_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study, "FORMAT", "quantmis search 0")
    finished(tmp_path, 2)
    monkeypatch.undo()
    with pytest.raises(UserError, match="another version of quantmis"):
        begun(tmp_path)


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path):
    (tmp_path / JOURNAL).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        begun(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study, "importable", lambda library: library != "optuna")
    with pytest.raises(UserError, match="needs optuna") as caught:
        study.library()
    assert caught.value.hint == "pip install 'quantmis[search]'"


def test_a_space_that_was_tried_whole_is_exhausted(tmp_path: Path):
    small = space_of(SearchOptions.of(families=["sign", "uniform"], bits=[2], granularity=["tensor", "channel"]), ())
    search = Search(tmp_path, "small", small, 0, small.starts(0, []))
    while not search.is_exhausted:
        search.step(worth)
    assert len(search.tried) == small.size == 4
