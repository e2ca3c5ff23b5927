"""What an audit costs that is asked for again, and with one more quantizer: nothing is trained for either.

    python benchmarks/again.py

The demo's audit, each time in a process of its own: processor time of it and of its workers, imports and report
included, and what stands in its folder. What imports alone take, of torch, of scikit-learn's digits and of ours, is
measured in between, in as many processes.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from _results import markdown, write_section

import quantmis as qm
from quantmis.audit.settings import QUANTIZERS_BY_DEFAULT

ANOTHER = "uniform(bits=3, group_size=64)"
IMPORTS = """
import sys
import torch
from sklearn.datasets import load_digits
import quantmis as qm
from quantmis.audit.demo import RECIPE, DigitsMLP
from quantmis.audit.run import run
"""
PROGRAM = f"""
{IMPORTS}
images, labels = load_digits(return_X_y=True)
task, samples = qm.Task(DigitsMLP, recipe=RECIPE), qm.Samples(images / 16, labels)
qm.audit(task, samples, quantizers=sys.argv[2:], shadows=64, out=sys.argv[1], progress=False)
"""


def spent(program: str, *arguments: str) -> float:
    """Return the processor seconds of a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, env=dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def size(folder: Path) -> float:
    """Return MiB of the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def main() -> None:
    """Measure and write the section."""
    rows = list[list[object]]()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        asked = list(QUANTIZERS_BY_DEFAULT)
        for what, quantizers in (
            ("the audit", asked),
            ("the same again", asked),
            (f"with {ANOTHER}", [*asked, ANOTHER]),
            ("the same again", [*asked, ANOTHER]),
        ):
            imports, seconds = spent(IMPORTS), spent(PROGRAM, str(out), *quantizers)
            trained = 64 - qm.AuditResult.from_json(out).document.environment.reused
            rows.append([what, f"{seconds:.1f}", f"{imports:.1f}", f"{seconds - imports:.1f}", trained])
            print(rows[-1], flush=True)
        taken = ", ".join(f"{size(out / 'store' / kind):.1f} MiB of {kind}" for kind in ("weights", "rows", "measures"))
    columns = ["what is asked for", "processor seconds", "imports alone", "beyond them", "models trained"]
    write_section(
        "another quantizer of a finished audit",
        f"""`python benchmarks/again.py`. The audit of the demo, 64 models, each time in a process of its own,
imports and report included. Its store takes {taken}.

{markdown(columns, rows)}

What is left of an audit that is asked for again are imports, the probes of what was given, and the report's page.
With another quantizer its rows and measures are computed, and the attacks on all versions together.""",
    )


if __name__ == "__main__":
    main()
