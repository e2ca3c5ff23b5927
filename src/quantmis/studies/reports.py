"""What a study says: its section of a file of results, with tables, figure and findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmis.studies import admet, figures, synthetic
from quantmis.studies.findings import findings
from quantmis.studies.outcome import Outcome
from quantmis.studies.problem import Design
from quantmis.studies.section import write_section
from quantmis.studies.tables import by_problem, by_rank, by_task, findings_table, utilities

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
RANKS = """Mean ranks of the quantizers over independent problems, 1 = gives away least, with Student's intervals.
"Skill lost" is the share of the utility beyond chance that quantization takes, over the problems in which the
full-precision model is beyond doubt better than chance."""


@dataclass(frozen=True)
class Run:
    """Hold a finished study: its name, the command that made it, its design and its outcomes."""

    name: str
    command: str
    design: Design
    outcomes: Sequence[Outcome]

    @property
    def title(self) -> str:
        """The name of the section."""
        return f"reproduce {self.name}"


def write_report(run: Run, path: Path) -> None:
    """Write the section of a study into the file of results at `path`, and its figure into `figures` beside it."""
    drawing = Path("figures") / f"{run.name}.svg"
    draw = {"synthetic": figures.indicator_against_attack, "admet": figures.fronts}[run.name]
    draw(run.outcomes, path.parent / drawing)
    body = {"synthetic": _synthetic, "admet": _admet}[run.name](run, f"![{CAPTIONS[run.name]}]({drawing})")
    write_section(run.title, body, path, PACKAGES)


CAPTIONS = {
    "synthetic": "r_Q against the AUC of adaptive LiRA and against MIS; MIS by theory against the AUC of adaptive LiRA",
    "admet": "Utility on the official test set against the AUC of adaptive LiRA, a panel for each task",
}


def _synthetic(run: Run, figure: str) -> str:
    level = run.design.level
    return f"""{_opening(run)} Mixtures of k equally likely Gaussians in {synthetic.DIMENSION} dimensions, an MLP with
{synthetic.HIDDEN} hidden units, {synthetic.RECIPE.epochs} epochs; n is the number of members of each shadow model,
{synthetic.HELD_OUT:,} points are held out.

### Findings

{findings_table(findings(run.outcomes, level))}

### Quantizers

{RANKS}

{by_rank(run.outcomes, level)}

{figure}

### Problems

{by_problem(run.outcomes, ("components",), level)}
"""


def _admet(run: Run, figure: str) -> str:
    level = run.design.level
    tasks = list(dict.fromkeys(each.cluster for each in run.outcomes))
    tables = [
        f"**{task}**\n\n{by_task([each for each in run.outcomes if each.cluster == task], level)}" for task in tasks
    ]
    return f"""{_opening(run)} Tasks of TDC's ADMET group with their official split; copies of a molecule removed;
heads with {admet.HIDDEN} hidden units on frozen embeddings or ECFP4, {admet.RECIPE.epochs} epochs. Shadow models train
on halves of the official training set, heads for the utility on all of it. The indicator is measured on the official
test set, which holds other scaffolds.

### Findings

{findings_table(findings(run.outcomes, level))}

### Quantizers

{RANKS} Embedders of one task share its molecules: an independent problem is a task.

{by_rank(run.outcomes, level)}

{figure}

### Utility in full precision

One recipe for all tasks; `python benchmarks/heads.py DATA` sets it against others on scaffold splits of the training
sets, and against a linear probe on the test sets.

{utilities(run.outcomes)}

### Tasks

Means over the embedders, with Student's intervals over them.

{(chr(10) * 2).join(tables)}
"""


def _opening(run: Run) -> str:
    minutes = sum(each.seconds for each in run.outcomes) / 60
    return (
        f"`{run.command}`. {len(run.outcomes)} problems, {run.design.shadows} shadow models each, "
        f"{len(run.design.quantizers)} quantizers, seed {run.design.seed}; {minutes:.1f} minutes on the "
        "clock, all problems added up, whatever else the machine did."
    )
