"""The page in a real browser, opened once: three widths, with hostile names, under its own security policy."""

import html
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from documents import document
from test_report_html import hostile

from quantmis.report import render

WIDTHS = (360, 1000, 1600)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
)
HARNESS = """
<!doctype html><meta charset="utf-8"><body><script>
const visible = (svg) => svg.clientWidth > 0;
async function look(name, width, source) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "900px"; frame.style.border = "0";
  frame.srcdoc = source;
  await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  const page = frame.contentDocument, button = page.querySelector("#ranking-table thead button");
  const first = () => page.querySelector("#ranking-table tbody tr .no").textContent;
  const before = first();
  button.click(); button.click();
  return { name, width, overflow: page.documentElement.scrollWidth - width, before, after: first(),
    harmed: "harmed" in frame.contentWindow || "harmed" in window,
    shown: [...page.querySelectorAll("svg.wide, svg.narrow")].filter(visible).map((svg) => svg.classList[1]),
    narrowest: Math.min(...[...page.querySelectorAll("svg.panel")].map((svg) => svg.clientWidth)) };
}
(async () => {
  const seen = [];
  for (const [name, source] of Object.entries(PAGES))
    for (const width of WIDTHS) seen.push(await look(name, width, source));
  document.body.textContent = JSON.stringify(seen);
})();
</script>
"""


def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("this test opens the report in Chromium: install the package `chromium`")
    return found


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    """Open the ordinary and the hostile page at three widths; return what was seen, and what the browser logged."""
    folder = tmp_path_factory.mktemp("browser")
    pages = json.dumps({"ordinary": render(document()), "hostile": render(hostile())}).replace("</", "<\\/")
    harness = HARNESS.replace("PAGES", pages).replace("WIDTHS", str(list(WIDTHS)))
    (folder / "harness.html").write_text(harness, encoding="utf-8")
    address = (folder / "harness.html").as_uri()
    command = [browser(), *QUIET, f"--user-data-dir={folder / 'profile'}", "--dump-dom", address]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(html.unescape(_body(run.stdout))), run.stderr


def _body(page: str) -> str:
    found = re.search(r"<body>(.*)</body>", page, re.DOTALL)
    assert found, page[-2000:]
    return found[1]


def test_the_browser_has_nothing_to_complain_of(opened: tuple[list[dict[str, Any]], str]):
    assert not [line for line in opened[1].splitlines() if "CONSOLE" in line]


def test_no_width_needs_scrolling_sideways(opened: tuple[list[dict[str, Any]], str]):
    assert {(each["name"], each["width"]): each["overflow"] for each in opened[0] if each["overflow"] > 0} == {}


def test_narrow_pages_show_the_narrow_figures_and_wide_pages_the_wide(opened: tuple[list[dict[str, Any]], str]):
    for each in opened[0]:
        assert set(each["shown"]) == {"narrow" if each["width"] == 360 else "wide"}
        assert each["narrowest"] >= 280


def test_tables_sort_by_a_column_and_back(opened: tuple[list[dict[str, Any]], str]):
    ordinary = [each for each in opened[0] if each["name"] == "ordinary"]
    assert [(each["before"], each["after"]) for each in ordinary] == [("1", "10")] * 3


def test_no_name_runs_as_a_script(opened: tuple[list[dict[str, Any]], str]):
    assert not any(each["harmed"] for each in opened[0])
