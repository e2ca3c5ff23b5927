"""Claims about the files around the code: what a newcomer reads, what an installer and a type checker look for."""

import ast
import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
GROUPS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
LINK = re.compile(r"\]\(([^()#:\s]+)(#[^()\s]*)?\)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def name_of(requirement: str) -> str:
    """Return the name of a requirement as package indexes compare names."""
    found = NAME.match(requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def imports_of(file: Path) -> Iterator[str]:
    """Yield the names of the top-level packages that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_import_is_declared_and_the_trial_of_the_wheel_knows_what_extras_bring():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {name_of(each) for each in project["dependencies"]}
    extra = {name_of(each) for key in project["optional-dependencies"].values() for each in key} - core
    names = {name for file in (ROOT / "src").rglob("*.py") for name in imports_of(file)}
    makers = packages_distributions()
    foreign = names - sys.stdlib_module_names - {"quantmis", "google"}  # google: protobuf's, which onnx brings
    packages = {name: {name_of(each) for each in makers[name]} for name in foreign}
    assert {name: made for name, made in packages.items() if not made & (core | extra)} == {}
    optional = {name for name, made in packages.items() if not made & core}
    assert optional <= runpy.run_path(str(ROOT / "benchmarks" / "wheel.py"))["EXTRAS"]


def test_the_package_says_that_it_is_typed():
    assert (files("quantmis") / "py.typed").is_file()


def test_every_package_that_the_project_names_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    built = {"llama-cpp"}  # built from source, and part of no environment of the project
    named = [*project["dependencies"], *(each for key in extras if key not in built for each in extras[key])]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name_of(line) for line in lines if "==" in line and not line.startswith("#")}
    assert {name_of(each) for each in named} - pinned == {"quantmis"}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [target for target, _ in LINK.findall(text) if not (ROOT / target).exists()] == []


def test_the_change_log_has_the_usual_groups_alone():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"Unreleased|\d+\.\d+\.\d+ - (unreleased|\d{4}-\d{2}-\d{2})", each) for each in sections)
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= GROUPS
    assert sections


def test_what_is_cited_has_the_licence_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"license: {project['license']}\n" in cited
    assert all(url in cited for url in project["urls"].values())
