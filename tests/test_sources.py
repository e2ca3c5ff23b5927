"""Claims about published numbers: RESULTS.md and its JSON agree, and measured numbers of pages come from there."""

import json
from pathlib import Path

import pytest
from sources import RESULTS, faults, paragraphs

from quantmis.studies.numbers import as_json, rows, slug
from quantmis.studies.section import sections, write_section

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
DOCS = sorted(str(each.relative_to(ROOT)) for each in (ROOT / "docs").rglob("*.md"))
PAGES = ["README.md", *(page for page in DOCS if "/_" not in page)]  # not what a build makes


@pytest.mark.parametrize("page", PAGES)
def test_every_measured_number_of_a_page_has_a_source(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [f"{' '.join(each.split())[:70]}...: {fault}" for each in paragraphs(text) for fault in faults(each)]
    assert "\n".join(lines) == ""


def test_the_json_of_every_section_says_what_results_md_says():
    texts = {file.name: file.read_text(encoding="utf-8") for file in RESULTS.iterdir()}
    derived = {f"{slug(name)}.json": as_json(name, section) for name, section in sections(TEXT).items()}
    assert sorted(texts) == sorted(derived)
    differing = [name for name in texts if texts[name] != derived[name]]
    assert differing == [], "python benchmarks/_results.py writes them anew"


def test_every_row_of_every_table_is_in_the_json():
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    separators = [line for line in lines if set(line) <= set("| -")]
    tables = [each["rows"] for file in RESULTS.iterdir() for each in json.loads(file.read_text())["tables"]]
    assert (len(tables), sum(map(len, tables))) == (len(separators), len(lines) - 2 * len(separators))
    assert sum(len(file.read_bytes()) for file in RESULTS.iterdir()) < 1_000_000


def test_the_figure_of_the_documentation_is_that_of_the_benchmark():
    copy, figure = ROOT / "docs" / "explanation" / "fidelity.svg", ROOT / "benchmarks" / "figures" / "fidelity.svg"
    assert copy.read_bytes() == figure.read_bytes()


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12,800,000", 12_800_000),
        ("9.37e-03", 0.00937),
        ("**3.0x**", 3.0),
        ("1.9 %", 0.019),
        ("-0.020 (-0.027 to -0.014)", [-0.02, -0.027, -0.014]),
        ("78.8 % (72.2 to 85.1)", [0.788, 0.722, 0.851]),
        ("0.506 ± 0.015", [0.506, 0.491, 0.521]),
        ("0.986 (met)", "0.986 (met)"),
        ("`uniform(bits=2)`", "uniform(bits=2)"),
        ("1e-06, 1e-09", "1e-06, 1e-09"),
        ("", None),
    ],
)
def test_a_cell_is_a_number_an_interval_or_its_words(cell: str, value: object):
    assert rows(["| a |", "| --- |", f"| {cell} |"]) == [{"a": value}]


def test_a_section_that_is_written_again_replaces_its_json_and_no_other(tmp_path: Path):
    for share in ("1 %", "2 %"):
        write_section("one", f"Here:\n\n| a | b |\n|---|---|\n| x | {share} |\n\nSo {share} it is.", tmp_path / "R.md")
        write_section("The other", "Nothing.", tmp_path / "R.md")
    one = json.loads((tmp_path / "results" / "one.json").read_text())
    assert (one["section"], one["tables"]) == ("one", [{"after": "Here:", "rows": [{"a": "x", "b": 0.02}]}])
    assert one["prose"][1:] == [{"text": "So 2 % it is.", "numbers": [0.02]}]
    assert "; Python 3." in one["machine"]
    assert json.loads((tmp_path / "results" / "the-other.json").read_text())["prose"][0]["text"] == "Nothing."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = "| version | AUC | lost |\n| - | - | - |\n| `ternary(sparsity=0.9)` | 0.9768 (0.970 to 0.984) | 61.2 |"
    (tmp_path / "one.json").write_text(as_json("one", f"It took 2,920 texts and 0.6 %.\n\n{table}\n"))
    (tmp_path / "two.json").write_text(as_json("two", "Others took 77 MiB."))
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "An AUC of 0.977 (0.970 to 0.98), of 2,920 texts. <!-- source: one -->",
        "61 % are lost, 90 % are zeros, 98 % are told, and 0.6 % of `0.123` is nothing.\n<!-- source: one -->",
        "| a | b |\n| - | - |\n| 0.977 | 61 % |\n\n<!-- source: one -->",
        "A coin is right 50 % of the time. <!-- given -->",
        "With 64 models 0.977 is reached, in 77 MiB. <!-- source: one, two; given: 64 -->",
        "Python 3.11, of 2024, [arXiv 2410.16454](https://arxiv.org/abs/2410.16454), 8 bits and version 2.13.0.",
        "```python\nx = 0.5\n```",
        "    x = 0.5",
    ],
)
def test_a_number_is_found_as_it_is_rounded_and_code_versions_and_years_are_none(text: str, folder: Path):
    assert [fault for each in paragraphs(text) for fault in faults(each, folder)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("An AUC of 0.977.", "it measures something and names no source"),
        ("An AUC of .977. <!-- source: one -->", "write 0.977 for .977"),
        ("It takes 26 seconds.", "it measures something and names no source"),
        ("An AUC of 0.976. <!-- source: one -->", "0.976 stands in none of ['one']"),
        ("An AUC of 0.98 and 62 %. <!-- source: one -->", "62 % stands in none of ['one']"),
        ("An AUC of 0.98 of 2,921 texts. <!-- source: one -->", "2,921 stands in none of ['one']"),
        ("An AUC of 0.98. <!-- source: three -->", "there is no three.json in benchmarks/results"),
        ("An AUC of 0.98. <!-- source: one, two -->", "two has none of its numbers"),
        ("An AUC of 0.98. <!-- source: one; given: 64 -->", "64 is called given and not said"),
        ("An AUC of some size. <!-- given -->", "it is called given and holds no number"),
        ("An AUC of 0.98. <!-- source one -->", "its comments cannot be read: ['source one']"),
        ("0.98. <!-- source: one --> <!-- given -->", "its comments cannot be read: ['source: one', 'given']"),
    ],
)
def test_a_number_without_a_source_and_a_comment_without_a_number_are_found(text: str, fault: str, folder: Path):
    assert [each for paragraph in paragraphs(text) for each in faults(paragraph, folder)] == [fault]
