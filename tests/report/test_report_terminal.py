"""The ranking as a terminal shows it."""

import io

import documents
import pytest
from documents import document
from rich.console import Console

from quantmis.report import words
from quantmis.report.terminal import table, verdict_lines
from quantmis.results import Results


def shown(results: Results, width: int) -> list[str]:
    stream = io.StringIO()
    Console(width=width, file=stream, color_system=None).print(table(results, width))
    return stream.getvalue().splitlines()


def test_ties_are_marked_by_the_ranks_that_are_possible():
    ranks = [line.split()[:2] for line in shown(document(), 100)[1:]]
    assert ranks[:3] == [["1", "ternary(sparsity=0.9)"], ["2\u20133", "uniform(bits=2)"], ["2\u20134", "sign"]]


def test_at_80_columns_the_version_the_attacker_and_the_utility_stand_in_one_line_each():
    lines = shown(document(), 80)
    assert lines[0].split() == ["rank", "version", "attacker", "is", "right", "accuracy"]
    assert len(lines) == 12
    assert lines[-1].strip() == "the least exposed first"
    assert "52 % (51 to 53 %)" in lines[1]
    assert "88.3 % (87.7 to 88.9 %)" in lines[1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_figure_is_cut_at_any_width(width: int):
    lines = shown(document(), width)
    assert max(map(len, lines)) <= width
    assert sum("to 53 %)" in line for line in lines) == 1


def test_a_wide_terminal_shows_size_attack_and_indicator():
    heading = shown(document(), 160)[0]
    for word in ("bits", "zeros", "AUC of lira", "indicator r_Q"):
        assert word in heading


def test_a_name_is_no_markup():
    strengths = {"identity": 1.0, "[bold red]sign[/]\x1b[31m": 0.2}
    text = "\n".join(shown(document(strengths), 120))
    assert "[bold red]sign[/]" in text
    assert "\x1b" not in text


def test_the_verdict_is_a_sentence_a_line():
    lines = verdict_lines(document())
    assert lines[0].startswith("Of 9 quantized versions of the model, ternary(sparsity=0.9) gives away least")
    assert all("\n" not in line for line in lines)


def test_an_audit_that_ranked_nothing_still_prints():
    results = document().model_copy(update={"ranking": documents.ranking([])})
    assert shown(results, 80)[1].split()[0] == words.NONE
