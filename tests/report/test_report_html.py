"""The page: what it says, that it needs nothing, and that no name can harm it."""

import base64
import hashlib
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import documents
import pytest
from documents import document
from hostile_documents import HOSTILE, hostile
from pages import Page

from quantmis.report.html import render
from quantmis.stats import Unmeasured


@pytest.fixture(scope="module")
def source() -> str:
    return render(document())


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


@pytest.fixture(scope="module")
def harmless() -> str:
    return render(hostile())


def test_the_page_opens_with_the_verdict(page: Page):
    assert page.text.index("ternary(sparsity=0.9) gives away least") < page.text.index("Many models were trained")


@pytest.mark.parametrize(
    "section",
    [
        "Verdict",
        "What was audited",
        "What protection costs",
        "Ranking",
        "What each attack achieved",
        "The theory's indicator against the attacks",
        "Checks of the audit itself",
        "What was not tested, and why",
        "Glossary",
        "How to reproduce this audit",
    ],
)
def test_the_page_has_the_section(page: Page, section: str):
    assert section in page.text


def test_every_reason_is_printed_where_the_links_point(page: Page):
    targets = {attributes["href"] for attributes in page.all("a") if "#why-" in (attributes["href"] or "")}
    places = {f"#{attributes.get('id')}" for attributes in page.all("li")}
    assert targets
    assert targets <= places
    for reason in (
        documents.FEW_OTHERS.reason,
        documents.NO_TRANSFER.reason,
        "boundary flux is not part of this audit",
    ):
        assert reason in page.text


def test_links_within_the_page_lead_somewhere(page: Page):
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert {(attributes["href"] or "").removeprefix("#") for attributes in page.all("a")} <= ids


def test_identifiers_are_unique(source: str):
    ids = re.findall(r'\bid="([^"]+)"', source)
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_anywhere(source: str, page: Page):
    assert not [attributes for _, attributes in page.tags if "src" in attributes]
    assert not page.all("link")
    assert not re.search(r"url\((?!#)|@import|https?://", source)


def test_the_policy_allows_this_stylesheet_and_this_script_alone(source: str, page: Page):
    (policy,) = [
        meta["content"] or "" for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_no_element_carries_a_style_or_a_handler(page: Page):
    carried = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in carried if name == "style" or name.startswith("on")}


def test_tables_say_what_their_cells_belong_to(page: Page):
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in header for header in page.all("th"))


def test_every_figure_has_a_text_in_its_place(page: Page):
    figures = page.all("svg")
    assert figures
    assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in figures)


def test_headings_leave_out_no_level(page: Page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_page_promises_nothing(page: Page):
    defined = page.text.replace("Membership inference security (MIS)", "").replace("security (MIS)", "")
    assert not re.findall(r"\b(?:safe\w*|secur\w*|complian\w*|guarante\w*)\b", defined, re.IGNORECASE)


def test_the_same_document_gives_the_same_page(source: str):
    assert render(document()) == source


@pytest.mark.slow
def test_names_are_printed_and_never_obeyed(harmless: str):
    page = Page(harmless)
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    assert not page.all("img")
    assert not {name for _, attributes in page.tags for name in attributes if name.startswith("on")}
    assert HOSTILE["script"] in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_names_cannot_turn_the_text_around_or_fill_the_page(harmless: str):
    assert not set("\u202e\u2066\u200f\x00\x07\x1b") & set(harmless)
    assert "x" * 601 not in harmless
    assert len(harmless.encode()) < 400_000


def test_a_report_without_attacks_or_indicator_still_renders():
    nothing = Unmeasured("no attack was asked for")
    bare = [
        record.model_copy(update={"attacks": {}, "strongest_attack": ""}).with_measures(
            attack_accuracy=nothing, security_upper_bound=nothing, indicator=nothing
        )
        for record in document().versions
    ]
    page = Page(render(document().model_copy(update={"versions": bare, "controls": [], "agreement": []})))
    assert "no attack was asked for" in page.text
    assert "No control was run" in page.text


@pytest.mark.slow
def test_forty_versions_under_twelve_attacks_render_in_time_small_and_without_torch():
    # In a process of its own: run-time type checks would be timed along, and others may have imported torch here.
    code = """if True:
        import sys, time, documents
        from quantmis.report.html import render
        many = documents.many()
        strengths = {each.name: 0.3 + index / 100 for index, each in enumerate(many.versions)}
        results = documents.given(documents.exposed(many), strengths=strengths)
        started = time.process_time()
        source = render(results)
        assert time.process_time() - started < 9  # three seconds where nothing else runs
        assert len(source.encode()) < 400_000, len(source.encode())
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(documents.__file__).parent)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_reaches_contrast_aa_on_every_ground(source: str, theme: int):
    block = re.findall(r":root \{(.*?)\}", source, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    grounds = {"paper", "panel", "shade"}
    for ground in grounds:
        for text in colours.keys() - grounds - {"line", "bad-panel"}:
            lighter, darker = sorted((_luminance(colours[ground]), _luminance(colours[text])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_a_report_without_utility_or_sizes_still_renders():
    nothing = Unmeasured("the weights cannot be read")
    bare = [
        record.with_measures(utility=nothing, bits_per_weight=nothing, sparsity=nothing, quantized_weights=nothing)
        for record in document().versions
    ]
    page = Page(render(document().model_copy(update={"versions": bare})))
    assert "the weights cannot be read" in page.text
    assert "were measured together for no version" in page.text
