"""Where the benchmarks write: their section of RESULTS.md, as the studies do, its JSON and their figures beside it.

`python benchmarks/_results.py` writes the JSON of every section anew from RESULTS.md, as after a merge.
"""

import re
from pathlib import Path

from quantmis.studies.section import PACKAGES, machine, markdown, sections, write_document
from quantmis.studies.section import write_section as write_into

__all__ = ["FIGURES", "HERE", "machine", "markdown", "peak", "write_section"]

HERE = Path(__file__).parent
FIGURES = HERE / "figures"
RESULTS = HERE / "RESULTS.md"


def write_section(name: str, body: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """Replace the section `name` of RESULTS.md, or add it at the end."""
    write_into(name, body, RESULTS, packages)


def peak() -> float:
    """Return the most memory in MiB that this process has held since it was started (Linux).

    `ru_maxrss` would not do: it begins at what the process that started this one held.
    """
    return float(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def write_documents() -> None:
    """Write the JSON of every section of RESULTS.md, and remove that of sections which are gone."""
    for file in (HERE / "results").glob("*.json"):
        file.unlink()
    for name, section in sections(RESULTS.read_text(encoding="utf-8")).items():
        write_document(name, section, RESULTS)


if __name__ == "__main__":
    write_documents()
