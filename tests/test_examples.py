"""Claims about `examples/`: each script runs in one screen and prints what the documentation shows of it."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
ROUNDING = 0.05
"""How far a number of another machine may be from the one shown, as a share of it."""


def shown(script: Path) -> str:
    return (ROOT / "docs" / "examples" / f"{script.stem}.txt").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_prints_what_the_documentation_shows(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    printed = capsys.readouterr().out
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown(script))
    numbers = [[float(each) for each in NUMBER.findall(text)] for text in (printed, shown(script))]
    assert numbers[0] == pytest.approx(numbers[1], rel=ROUNDING, abs=ROUNDING)


def test_an_example_fits_on_a_screen_and_stands_with_its_output_in_the_documentation():
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert len(SCRIPTS) == 5
    for script in SCRIPTS:
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 48
        assert f"{{literalinclude}} ../examples/{script.name}" in page
        assert f"{{literalinclude}} examples/{script.stem}.txt" in page
        assert ".gate(" in script.read_text(encoding="utf-8")
