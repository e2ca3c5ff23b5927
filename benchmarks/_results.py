"""Where the benchmarks write: their section of RESULTS.md, as the studies do, and their figures beside it."""

import re
from pathlib import Path

from quantmis.studies.section import PACKAGES, machine, markdown
from quantmis.studies.section import write_section as write_into

__all__ = ["FIGURES", "HERE", "machine", "markdown", "peak", "write_section"]

HERE = Path(__file__).parent
FIGURES = HERE / "figures"


def write_section(name: str, body: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """Replace the section `name` of RESULTS.md, or add it at the end."""
    write_into(name, body, HERE / "RESULTS.md", packages)


def peak() -> float:
    """Return the most memory in MiB that this process has held since it was started (Linux).

    `ru_maxrss` would not do: it begins at what the process that started this one held.
    """
    return float(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024
