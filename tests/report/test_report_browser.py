"""The page in a real browser: three widths, both themes, on paper, by keyboard, without scripts, and hostile names."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import documents
import pypdfium2
import pytest
from axe_playwright_python.sync_playwright import Axe
from hostile_documents import hostile
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from quantmis.documents import Source, conformity
from quantmis.report.framework import built_in
from quantmis.report.html import render

WIDTHS = (360, 1024, 1600)
NAMES = ("ordinary", "as-is", "hostile", "many")
ANSWERS = ("ordinary answers", "hostile answers")


def executable() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("this test opens the report in Chromium: install the package `chromium`")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the pages: an audit with a model that was given, one as it is, hostile names, and a large one."""
    results = {
        "ordinary": documents.given(documents.exposed(documents.document())),
        "as-is": documents.as_is(differs=True),
        "hostile": hostile(),
        "many": documents.many(),
    }
    written = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        (written / f"{name}.html").write_text(render(results[name]), encoding="utf-8")
    for name in ("ordinary", "hostile"):
        answers = conformity.page(Source(results[name], "ab" * 32))
        (written / f"{name} answers.html").write_text(answers, encoding="utf-8")
    (written / "first.html").write_text(render(documents.exposed(documents.document())), encoding="utf-8")
    return written


@pytest.fixture
def show(browser: Browser, folder: Path) -> Iterator[Callable[..., Page]]:
    """Open a page under its own policy, unfolded; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    opened: list[Page] = []

    def opening(name: str, width: int = 1000, folded: bool = False, **settings: object) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, **settings)  # pyright: ignore
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if "file:" not in request.url else None)
        page.goto((folder / f"{name}.html").as_uri())
        if not folded:
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        opened.append(page)
        return page

    yield opening
    for page in opened:
        page.close()
    assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*NAMES, *ANSWERS])
def test_no_width_needs_scrolling_sideways(show: Callable[..., Page], name: str, width: int):
    assert show(name, width).evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_narrow_pages_show_the_narrow_figures_and_wide_pages_the_wide(show: Callable[..., Page], width: int):
    page = show("ordinary", width)
    wide, narrow = page.locator("svg.wide"), page.locator("svg.narrow")
    assert wide.count() == narrow.count() > 2
    for index in range(wide.count()):
        assert (wide.nth(index).is_visible(), narrow.nth(index).is_visible()) == (width > 360, width == 360)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "width"),
    [("ordinary", 360), ("ordinary", 1600), ("as-is", 1000), ("hostile", 1000), ("ordinary answers", 1000)],
)
def test_axe_finds_nothing_to_object_to(show: Callable[..., Page], name: str, width: int, theme: str):
    page = show(name, width, color_scheme=theme)
    found = Axe().run(page)
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found.response["violations"]] == []


SHOTS = os.environ.get("QUANTMIS_SHOTS")
"""A folder that keeps the pictures for people to look at; without it they are only looked at by the test."""


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_the_page_is_as_wide_as_the_screen_and_shows_the_verdict_in_its_ink(
    show: Callable[..., Page], tmp_path: Path, name: str, width: int
):
    path = Path(SHOTS or tmp_path) / f"{name}-{width}.png"
    show(name, width, color_scheme="light").screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        assert picture.width == width
        assert 2_000 < picture.height < 120_000
        darkest, _ = picture.convert("L").crop((0, 0, width, 900)).getextrema()
    assert darkest < 60


@pytest.mark.slow
def test_no_label_of_a_figure_covers_another(show: Callable[..., Page]):
    for width in WIDTHS:
        covered = show("ordinary", width).evaluate(COVERED)
        assert covered == []


COVERED = """
[...document.querySelectorAll("svg.chart")].filter((svg) => svg.getBoundingClientRect().width).flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], index) => boxes.slice(index + 1)
    .filter(([_, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
    .map(([other]) => `${one} and ${other}`));
})
"""


@pytest.mark.slow
def test_axe_would_object_to_a_page_that_is_hard_to_read(show: Callable[..., Page]):
    page = show("ordinary")
    page.evaluate("document.querySelector('#verdict p').setAttribute('aria-labelledby', 'nowhere')")
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert "html-has-lang" in {each["id"] for each in Axe().run(page).response["violations"]}


@pytest.mark.slow
def test_tables_sort_by_a_column_and_back_by_keyboard(show: Callable[..., Page]):
    page = show("ordinary")
    first = page.locator("#ranking-table tbody bdi").first
    assert first.inner_text() == "ternary(sparsity=0.9)"
    page.locator("#ranking-table thead button", has_text="Bits").focus()
    page.keyboard.press("Enter")
    assert first.inner_text() == "sign"
    page.keyboard.press("Enter")
    assert first.inner_text() == "full precision"
    assert page.locator("#ranking-table th[aria-sort=descending]").count() == 1


def test_what_has_no_number_stays_last_and_thousands_are_no_decimals(show: Callable[..., Page]):
    page = show("ordinary")
    order = """(values) => {
      const body = document.querySelector("#ranking-table tbody");
      [...body.rows].forEach((row, index) => { row.cells[4].textContent = values[index] ?? "not measured [1]"; });
      const sorted = () => [...body.rows].slice(0, 4).map((row) => row.cells[4].textContent);
      const button = document.querySelectorAll("#ranking-table thead button")[4];
      button.click();
      const up = sorted();
      button.click();
      return [up, sorted()];
    }"""
    up, down = page.evaluate(order, ["1,234", "9", "\u22125", "64, 64"])
    assert up == ["\u22125", "9", "64, 64", "1,234"]
    assert down == ["1,234", "64, 64", "9", "\u22125"]


def test_tables_filter_by_name_and_say_how_many_are_left(show: Callable[..., Page]):
    page = show("many")
    field = page.locator("#ranking input[type=search]")
    field.fill("group=16)")
    assert page.locator("#ranking-table tbody tr:visible").count() == 1
    assert page.locator("#ranking output").inner_text() == "1 of 40 rows"


def test_the_first_stop_of_the_keyboard_leads_past_the_navigation(show: Callable[..., Page]):
    page = show("ordinary")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#verdict"


def test_the_page_reads_without_scripts(browser: Browser, folder: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "ordinary.html").as_uri())
    assert page.locator("#ranking-table tbody tr").count() == 10
    assert page.locator("#ranking-table thead th").first.text_content() == "Version"
    assert page.locator("input").count() == 0
    context.close()


def test_the_first_screen_holds_verdict_choice_reservation_and_a_sentence_for_each_framework(show: Callable[..., Page]):
    page = show("first", 1280, folded=True)
    bottoms = {
        part: page.locator(f"#verdict {part}").first.bounding_box()["y"]  # pyright: ignore
        for part in (".headline", "table", ".unsaid", ".frameworks")
    }
    assert list(bottoms.values()) == sorted(bottoms.values())
    end = page.locator(".frameworks").evaluate("(list) => list.getBoundingClientRect().bottom")
    assert end <= 800
    assert page.locator(".frameworks li").count() == len(built_in())
    assert page.evaluate("document.documentElement.scrollHeight") < 3000


def test_a_link_opens_the_section_that_it_leads_to(show: Callable[..., Page]):
    page = show("first", 1280, folded=True)
    assert not page.locator("#ranking-table").is_visible()
    page.locator("nav a", has_text="Ranking").click()
    assert page.locator("#ranking-table").is_visible()


def test_what_is_folded_prints_open_without_scripts_too(browser: Browser, folder: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "first.html").as_uri())
    printed = pypdfium2.PdfDocument(page.pdf(format="A4"))
    text = " ".join(each.get_textpage().get_text_range() for each in printed)
    headings = page.locator("h2").all_inner_texts()
    assert len(headings) > 8
    assert all(heading in text for heading in headings)
    assert "Holm's correction" in text.replace("\r\n", " ")
    context.close()


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_page_prints_in_full_and_no_table_is_wider_than_the_paper(show: Callable[..., Page], paper: str):
    page = show("ordinary", {"A4": 690, "Letter": 710}[paper])
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= {"A4": 690, "Letter": 710}[paper]
    printed = page.pdf(format=paper)
    assert 5 <= len(re.findall(rb"/Type /Page\b", printed)) <= 40


def test_no_name_runs_as_a_script(show: Callable[..., Page]):
    assert show("hostile").evaluate("'harmed' in window") is False
