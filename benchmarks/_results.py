"""Write one section of RESULTS.md and leave the others alone."""

import platform
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
TITLE = (
    "# Results\n\nEvery section is written by the benchmark that it names; rerun one and only its section changes.\n"
)


def write_section(
    name: str, body: str, packages: tuple[str, ...] = ("numpy", "scipy"), path: Path | None = None
) -> None:
    """Replace the section `name` of RESULTS.md, or add it at the end, with the machine and versions named in it."""
    path = path or HERE / "RESULTS.md"
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n## {name}\n\n{machine(packages)}\n\n{body.strip()}\n{end}\n"
    text = path.read_text() if path.exists() else TITLE
    before, found, rest = text.partition(f"{begin}\n")
    after = rest.partition(f"{end}\n")[2] if found else ""
    path.write_text(f"{before if found else text + chr(10)}{section}{after}")


def machine(packages: tuple[str, ...]) -> str:
    """Return one line: processor, cores, Python and package versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"*{_processor()}; Python {platform.python_version()}, {versions}.*"


def markdown(header: list[str], rows: list[list[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _processor() -> str:
    import os

    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
