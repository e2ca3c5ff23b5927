"""Claims about the documentation: it builds without a warning, and its code runs as printed, page by page.

A block that begins with the name of a file is that file; every other block of Python is run, in the order of the page
and in one process; commands in blocks called `sh` are run too, those in blocks called `console` are not.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (
    "explanation/dithering.md",
    "tutorial.md",
    "guides/audit-a-molecular-model.md",
    "guides/audit-a-quantized-fine-tune.md",
    "guides/audit-a-quantized-file.md",
    "guides/audit-a-release.md",
    "guides/audit-loss-tables.md",
    "guides/audit-what-was-forgotten.md",
    "guides/audit-your-own-model.md",
    "guides/refused.md",
    "guides/search-for-the-version-to-ship.md",
    "guides/train-with-dp.md",
    "guides/write-a-quantizer.md",
    "guides/write-an-attack.md",
    "guides/send-and-file-the-report.md",
)
BLOCK = re.compile(r"^```(python|toml|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# (\w+\.(?:py|toml))\n")


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_as_printed(page: str, tmp_path: Path):
    programs, commands, tests = list[str](), list[str](), list[str]()
    for language, text in blocks(page):
        if name := NAMED.match(text):
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
            tests += [name[1]] if name[1].startswith("test_") else []
        elif language == "sh":
            commands += text.splitlines()
        else:
            programs.append(text)
    if (tmp_path / "pyproject.toml").exists():
        install(tmp_path)
    if programs:
        run(tmp_path, "-c", "\n".join(programs))
    for command in commands:
        program, *arguments = command.split()
        assert program == "quantmis"
        run(tmp_path, "-m", "quantmis", *arguments)
    for name in tests:
        run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", name)


def install(folder: Path) -> None:
    """Write what an installation leaves of the package that a page describes: its name and its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("".join(points), encoding="utf-8")


def run(folder: Path, *arguments: str) -> None:
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_the_mathematics_of_the_theory_page_gives_what_it_says():
    page = (DOCS / "explanation" / "theory.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"^```pycon\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(examples, {}, "theory.md", None, None)
    assert doctest.DocTestRunner().run(test) == (0, 8)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Build a copy of the documentation, so that what is generated does not land in the repository."""
    folder = tmp_path_factory.mktemp("docs")
    copy = folder / "docs"
    shutil.copytree(DOCS, copy, ignore=shutil.ignore_patterns("_build", "_generated"))
    for beside in ("src", "examples"):
        (folder / beside).symlink_to(DOCS.parent / beside)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(copy),
        str(folder / "html"),
    ]
    return folder / "html", subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(built: tuple[Path, subprocess.CompletedProcess[str]]):
    _, done = built
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/commands.html", ("quantmis report", "--format")),
        ("reference/quantizers.html", ("ternary(sparsity", "Round each weight")),
        ("reference/attacks.html", ("Carlini", "loss_threshold()")),
        ("reference/results.html", ("table_digest", "VersionResult")),
        ("reference/python.html", ("checkpoint_every", "log_to_mlflow")),
    ],
)
def test_the_reference_says_what_the_code_says(
    built: tuple[Path, subprocess.CompletedProcess[str]], page: str, words: tuple[str, ...]
):
    text = re.sub(r"<[^>]+>", "", (built[0] / page).read_text(encoding="utf-8"))
    assert [word for word in words if word not in text] == []


ROOT = DOCS.parent
PAGE = DOCS / "explanation" / "assumptions.md"


def rows_of_assumptions() -> list[tuple[list[str], list[str]]]:
    """Return the functions and the tests that each row of the page names."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [cells for cells in (line.strip("|").split("|") for line in lines) if cells[0].strip() != "assumed"]
    return [(re.findall(r"`([\w.]+)`", cells[-2]), re.findall(r"`(\w+)`", cells[-1])) for cells in rows]


def is_defined(path: str) -> bool:
    """Whether a dotted path below the package leads through a module to a function, a class or a method."""
    parts = path.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        module = (ROOT / "src" / "quantmis").joinpath(*parts[:depth]).with_suffix(".py")
        if module.is_file():
            source = module.read_text(encoding="utf-8")
            return all(re.search(rf"^ *(?:def|class) {name}\b", source, re.MULTILINE) for name in parts[depth:])
    return False


def test_each_assumption_names_functions_that_check_it_and_tests_that_show_it():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    rows = rows_of_assumptions()
    assert len(rows) > 40
    for functions, tests in rows:
        assert functions
        assert tests
        assert [each for each in functions if not is_defined(each)] == []
        assert [each for each in tests if each not in known] == []
    assert "explanation/assumptions.md" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_a_name_that_is_nowhere_is_not_defined():
    assert is_defined("models.probes.require_sound")
    assert not is_defined("models.probes.require_loud")
    assert not is_defined("models.nowhere.require_sound")
