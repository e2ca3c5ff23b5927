"""What `quantmis reproduce` does: measure the problems of a study that are not measured yet, and say what was found."""

import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from quantmis.audit.checks import check_writable
from quantmis.audit.execution.store import locked
from quantmis.errors import require
from quantmis.registry import suggestion
from quantmis.studies.findings import findings
from quantmis.studies.outcome import Outcome, keep, stored_outcome
from quantmis.studies.problem import NAMES, Design, Problem, measure
from quantmis.studies.reports import Run, write_report
from quantmis.studies.section import DOCUMENTS, text_at

STUDIES = ("synthetic", "admet")
MORE = (
    "normal_float(bits=4)",
    "k_means(bits=2)",
    "k_means(bits=3)",
    "uniform(bits=2, narrow=True)",
    "stochastic_rounding(bits=2)",
    "stochastic_rounding(bits=4)",
)
"""The other codebooks, which the synthetic study adds."""

RESULTS = "RESULTS.md"


def reproduce(
    study: str, out: Path, data: Path | None = None, fast: bool = False, seed: int = 0, results: Path | None = None
) -> Run:
    """Run a study into the folder `out` and write its section into `results`, by default `out/RESULTS.md`.

    The section is written as JSON too, into `results` beside that file. Problems that `out` already holds are not
    measured again. Raises `UserError` for an unknown study, for data that are missing or broken, and for a file of
    results that cannot be written, before anything is trained.
    """
    require(study in STUDIES, f"unknown study {study!r}", hint=suggestion(study, STUDIES))
    report = results or out / RESULTS
    text_at(report)
    design, problems = _planned(study, data, fast, seed)
    check_writable(out)
    check_writable(report.parent)
    check_writable(report.parent / DOCUMENTS)
    with locked(out):
        outcomes = _measured(problems, design, out)
    run = Run(study, _command(study, data, fast, seed, results), design, outcomes)
    write_report(run, report)
    return run


def _command(study: str, data: Path | None, fast: bool, seed: int, results: Path | None) -> str:
    """Return the command that makes the same section; where what is measured is kept changes nothing in it."""
    words = ["quantmis", "reproduce", study]
    words += ["--data", str(data)] if data is not None else []
    words += ["--fast"] if fast else []
    words += ["--seed", str(seed)] if seed else []
    words += ["--results", str(results)] if results is not None else []
    return shlex.join(words)


def spoken_findings(run: Run) -> list[str]:
    """Return the findings of a study, a sentence each."""
    return [str(each) for each in findings(run.outcomes, run.design.level)]


def _planned(study: str, data: Path | None, fast: bool, seed: int) -> tuple[Design, list[Problem]]:
    from quantmis.studies import admet, synthetic

    design = Design(seed=seed, shadows=16 if fast else 64, whole=4 if fast else 8)
    if study == "synthetic":
        names = NAMES if fast else (*NAMES, *MORE)
        return replace(design, quantizers=names), synthetic.problems(fast, seed)
    require(
        data is not None, "reproduce admet needs the data", hint="name their folder: --data DIR; it holds admet_group"
    )
    return design, admet.problems(Path(str(data)), fast)


def _measured(problems: Sequence[Problem], design: Design, out: Path) -> list[Outcome]:
    """Return the outcome of every problem, those on disk as they are."""
    outcomes, begin = list[Outcome](), time.monotonic()
    for number, problem in enumerate(problems, start=1):
        path, key = out / "problems" / f"{_slug(problem)}.json", problem.key(design)
        outcome = stored_outcome(path, key)
        if outcome is None:
            outcome = measure(problem, design, key)
            keep(path, outcome)
        outcomes.append(outcome)
        seconds = time.monotonic() - begin
        rest = seconds / number * (len(problems) - number)
        _say(f"{number} of {len(problems)}: {problem.name}, {seconds:.0f} s, about {rest:.0f} s left")
    return outcomes


def _slug(problem: Problem) -> str:
    return re.sub("[^a-z0-9]+", "_", problem.name.lower())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
