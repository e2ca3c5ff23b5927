"""The example in the README runs as printed."""

import doctest
import re
from pathlib import Path

import pytest

from quantmis.audit.config import read

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_example_of_the_readme_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    exec(compile(example, str(README), "exec"), {})
    assert "sign" in capsys.readouterr().out
    assert (tmp_path / "my-audit" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "my-audit" / "results.json").exists()


def test_the_readme_opens_with_the_two_commands():
    opening = README.read_text()[:900]
    assert "make demo" in opening
    assert "make test" in opening


def test_the_mathematics_of_the_readme_gives_what_it_says():
    failed, tried = doctest.testfile(str(README), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried >= 5
    assert failed == 0


def test_the_audit_files_of_the_readme_are_audit_files(tmp_path: Path):
    texts = [each for each in re.findall(r"```toml\n(.*?)```", README.read_text(), flags=re.DOTALL) if "[data]" in each]
    assert len(texts) >= 2
    for text in texts:
        (tmp_path / "audit.toml").write_text(text)
        file = read(tmp_path / "audit.toml")
        assert file.audit.shadows == 64 or file.target is not None
