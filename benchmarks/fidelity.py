"""Which number orders quantizers as a full audit would, from how many trainings? The fidelity study.

export QUANTMIS_DATA=...                            the folder of real data, see benchmarks/problems.py
python benchmarks/fidelity_tables.py FOLDER         trains: half an hour of two cores; goes on where it was
python benchmarks/fidelity_truth.py FOLDER          judges every measure: ten minutes of one core
python benchmarks/fidelity.py FOLDER                writes the section of RESULTS.md and its figure
python benchmarks/fidelity.py FOLDER --half development     prints what the estimators were improved on
python benchmarks/fidelity.py --figure              draws the figure again from the section's own table
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _results import HERE, markdown, write_section
from fidelity_figure import COUNTS, FIGURE, figure
from fidelity_measures import DISTORTION, EXPOSURE, LISTED
from fidelity_tables import CHEAP, CODEBOOKS, FAMILIES, SHADOWS, Family, path
from problems import DEVELOPMENT, FRESH, PROBLEMS, TEST

from quantmis import seeds

RESAMPLES = 2000
HALVES = (TEST, DEVELOPMENT, FRESH)
PREDICTED, STATED = "predicted advantage", "stated"
TRIED = """Other distortions, on the development halves, from 2 and 4 trainings, codebooks and then the others: Spearman
correlation of losses (the choice) 0.985, 0.995; 0.959, 0.975. Pearson's of losses 0.990, 0.992; 0.944, 0.963; of
log(1 + loss) 0.991, 0.996; 0.960, 0.967. Mean distance of losses 0.989, 0.994; 0.928, 0.933; of probabilities 0.990,
0.991; 0.911, 0.914. Shrinking exposures towards a curve in the distortion (Fay and Herriot 1979) 0.977, 0.974; 0.948,
0.953. What audits did before, listing by how many versions expose less beyond doubt and then by exposure: 0.960, 0.886;
0.931, 0.899; with four trainings and one degree of freedom, that count is much chance. Shrinkage towards fewer bits was
left out on purpose: it would print the prejudice that an audit is to test."""


@dataclass(frozen=True)
class Judged:
    """Hold one problem: the truth by kind, and each measure's draws by number of trainings."""

    name: str
    truth: dict
    draws: dict
    seconds: float

    def tau(self, measure: str, count: str, kind: str = "advantage") -> float | None:
        """Return Kendall's tau over the pairs that the truth separates, the mean over draws."""
        pairs, draws = np.array(self.truth[kind]["separated"]), self.draws.get(measure, {}).get(count)
        if draws is None or len(pairs) == 0:
            return None
        value = np.array(self.truth[kind]["value"])
        wanted = np.sign(value[pairs[:, 0]] - value[pairs[:, 1]])
        found = [np.sign(each[pairs[:, 0]] - each[pairs[:, 1]]) for each in np.array(draws)]
        return float(np.mean([np.mean(wanted * each) for each in found]))

    def stated(self, count: str) -> tuple[float, float]:
        """Return which share of the separated pairs an audit puts in the truth's order, and which in the other."""
        value = self.truth["advantage"]["value"]
        wanted = {(i, j) if value[i] > value[j] else (j, i) for i, j in self.truth["advantage"]["separated"]}
        draws = [{(most, least) for most, least in each} for each in self.draws[STATED][count]]
        right = np.mean([len(wanted & each) for each in draws]) / len(wanted)
        wrong = np.mean([len(wanted & {(least, most) for most, least in each}) for each in draws]) / len(wanted)
        return float(right), float(wrong)

    def errors(self, count: str) -> np.ndarray:
        """Return the predicted advantages less those of the truth, [draws, quantizers]."""
        return np.array(self.draws[PREDICTED][count]) - np.array(self.truth["advantage"]["value"])

    def distance(self, count: str) -> float:
        """Return how far the predicted advantage lies from that of the truth, on average."""
        return float(np.abs(self.errors(count)).mean())


Halves = dict[str, list[Judged]]


def judged(folder: Path, half: str, family: Family = CODEBOOKS) -> list[Judged]:
    """Return the problems of one half that were judged."""
    asked = [problem for problem in PROBLEMS if problem.half == half]
    files = [(problem.name, path(folder, problem, family).with_suffix(".json")) for problem in asked]
    return [Judged(name, **json.loads(file.read_text())) for name, file in files if file.exists()]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the mean over problems and its 95 % interval, by resampling problems."""
    table = np.array(values)
    drawn = seeds.generator(0, "fidelity", "problems").integers(len(table), size=(RESAMPLES, len(table)))
    return float(table.mean()), *np.quantile(table[drawn].mean(1), [0.025, 0.975]).tolist()


def fidelity(problems: list[Judged], measure: str, count: str, kind: str = "advantage") -> list[float]:
    """Return the tau of every problem for which there is one."""
    found = [each.tau(measure, count, kind) for each in problems]
    return [each for each in found if each is not None]


def measures(problems: list[Judged]) -> list[str]:
    """Return the names of the measures, the most faithful with 4 trainings (or fewer) first."""
    names = [name for name in problems[0].draws if name not in (PREDICTED, STATED)]
    return sorted(names, key=lambda name: -_headline(problems, name))


def _headline(problems: list[Judged], name: str) -> float:
    known = [count for count in ("4", "8", "0", "2", "1") if fidelity(problems, name, count)]
    return float(np.mean(fidelity(problems, name, known[0])))


def table(problems: list[Judged], kind: str = "advantage") -> str:
    """Return tau by measure and number of trainings, with intervals over problems."""
    rows: list[list[object]] = [
        [name, *(_cell(fidelity(problems, name, count, kind)) for count in COUNTS)] for name in measures(problems)
    ]
    return markdown(["measure", *(f"{count} trainings" for count in COUNTS)], rows)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean, low, high = interval(values)
    return f"{mean:.3f} ({low:.2f} to {high:.2f})"


def predictions(problems: list[Judged]) -> str:
    """Return how far the predicted advantage lies from that of the strongest attack, by number of trainings."""
    rows: list[list[object]] = []
    for count in ("2", "4", "8"):
        mean, low, high = interval([each.distance(count) for each in problems])
        every = np.concatenate([each.errors(count).ravel() for each in problems])
        rows.append(
            [
                count,
                f"{mean:.3f} ({low:.3f} to {high:.3f})",
                f"{every.mean():+.3f}",
                f"{np.quantile(np.abs(every), 0.9):.3f}",
                f"{100 * np.mean(np.abs(every) <= 0.02):.0f} %",
            ]
        )
    return markdown(["trainings", "mean distance", "mean error", "90th percentile", "within 0.02"], rows)


def statements(codebooks: Halves, others: Halves) -> str:
    """Return how many orders an audit states, how many of them the wrong way round, by number of trainings."""
    rows: list[list[object]] = []
    for name, problems in (("codebooks", codebooks[TEST]), ("the others", others[TEST])):
        for count in ("2", "4", "8"):
            told = [each.stated(count) for each in problems if each.truth["advantage"]["separated"]]
            right, wrong = np.array(told).T
            shares = [interval(each.tolist()) for each in (right, wrong, 1 - right - wrong)]
            cells = (f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})" for mean, low, high in shares)
            rows.append([name, count, *cells])
    return markdown(["quantizers", "trainings", "in the truth's order", "the wrong way round", "called tied"], rows)


def by_problem(problems: list[Judged], measure: str) -> str:
    """Return, for each problem, what the truth is and how faithful one measure is."""
    rows: list[list[object]] = []
    for each in problems:
        value = each.truth["advantage"]["value"]
        taus = [each.tau(measure, count) for count in ("2", "4", "8")]
        cells = ["" if tau is None else f"{tau:.3f}" for tau in taus]
        span = f"{max(value):.3f} to {min(value):.3f}"
        rows.append([each.name, span, len(each.truth["advantage"]["separated"]), *cells])
    header = ["problem", "advantage, most to least", "pairs separated", "2 trainings", "4", "8"]
    return markdown(header, rows)


def unlike(others: Halves) -> str:
    """Return tau over the quantizers that nothing simple orders, by half."""
    rows: list[list[object]] = [
        [half, name, *(_cell(fidelity(problems, name, count)) for count in COUNTS[1:])]
        for half, problems in others.items()
        for name in (LISTED, DISTORTION, EXPOSURE, "rmia, AUC", "lira, AUC", "loss_threshold, AUC")
    ]
    return markdown(["problems", "measure", *(f"{count} trainings" for count in COUNTS[1:])], rows)


def targets(codebooks: Halves, others: Halves) -> str:
    """Return what was aimed at beforehand, and whether it was reached: by the list, and by exposure as first meant."""
    rows: list[list[object]] = []
    for family, halves in (("codebooks", codebooks), ("the others", others)):
        for half in (FRESH, TEST):
            for name in (LISTED, EXPOSURE):
                taus = [float(np.mean(fidelity(halves[half], name, count))) for count in ("2", "4")]
                met = [f"{tau:.3f} ({_met(tau >= aim)})" for tau, aim in zip(taus, (0.95, 0.98), strict=True)]
                rows.append([family, half, name, *met])
    return markdown(["quantizers", "problems", "measure", "tau from 2: 0.95", "tau from 4: 0.98"], rows)


def _met(whether: bool) -> str:
    return "met" if whether else "missed"


def distances(halves: Halves) -> str:
    """Return how far the predicted advantage is off, against what was aimed at."""
    told: list[str] = []
    for half in (FRESH, TEST):
        for count in ("2", "4"):
            far = float(np.mean([each.distance(count) for each in halves[half]]))
            told.append(f"{far:.3f} from {count} on {half} problems ({_met(far <= 0.02)})")
    return ", ".join(told)


def report(codebooks: Halves, others: Halves) -> str:
    """Return the section of RESULTS.md; `others`: the problems with quantizers unlike codebooks."""
    problems, development = codebooks[TEST], codebooks[DEVELOPMENT]
    pairs = sum(len(each.truth["advantage"]["separated"]) for each in problems)
    seconds = sum(each.seconds for halves in (codebooks, others) for half in halves.values() for each in half)
    halves = [
        [half, name, *(_cell(fidelity(each, name, count)) for count in ("2", "4", "8"))]
        for name in (LISTED, DISTORTION, EXPOSURE)
        for half, each in codebooks.items()
    ]
    other = [
        [kind, *(_cell(fidelity(problems, LISTED, count, kind)) for count in ("2", "4", "8"))]
        for kind in ("lira", "rmia")
    ]
    many = _cell(fidelity(problems, "r_Q, pairs (default)", str(CHEAP)))
    free, one, two, four = (
        f"{np.mean(fidelity(problems, name, count)):.3f}"
        for name, count in (
            ("bits, then zeros", "0"),
            (DISTORTION, "1"),
            (LISTED, "2"),
            (LISTED, "4"),
        )
    )
    named = "; ".join(each.name for each in problems)
    return f"""`python benchmarks/fidelity.py FOLDER`, after the two programs that it names.
{len(problems)} test problems with {len(CODEBOOKS.quantizers)} codebooks each: {named}.
Everything was improved on {len(development)} other problems; which problem belongs to which half was fixed before the
first measurement. Truth: the advantage of the stronger of LiRA and RMIA, adaptive, with {SHADOWS} shadow models,
threshold and attack chosen on one half of the samples and measured on the other: what an audit ranks by. It separates
{pairs} of {len(problems) * 66} pairs of quantizers (paired difference, Holm, 95 %). Measures read other models than the
truth, {CHEAP} more per problem, in up to 8 disjoint draws. Kendall's tau over the separated pairs: 1 = all in the
truth's order. Mean over problems, with the interval of resampled problems. Cost is trainings: scoring takes
milliseconds. All trainings and quantizations of the study took {seconds / 60:.0f} minutes of one core.

{table(problems)}

![Kendall's tau against the number of trainings](figures/fidelity.svg)

**Which number to trust, at which price.** An audit lists versions by exposure wherever its paired difference is beyond
doubt, and leaves the rest to distortion: one minus Spearman's correlation, over samples that a model was not trained
on, of its losses before and after quantizing. That list has a tau of {two} from 2 trainings and of {four} from 4.
Distortion alone, which knows no members, has {one} from a single training: what is upset tells members from others
less well, as a rule. But it only orders. It says nothing of how much is given away, and a quantizer that spares members
and upsets others would deceive it; so it decides where exposure does not. With {SHADOWS} trainings, trust LiRA and
RMIA. r_Q orders quantizers poorly on over-fitted networks even with {CHEAP} trainings ({many}); of its aggregates,
`pairs` stays the default.

**What needs no training.** "Fewer bits, then more zeros" orders these twelve codebooks with a tau of {free}. It is a
prejudice about codebooks that act alike: it ranks no two quantizers of equal bits and zeros, and knows neither model
nor data. Distortion is a measurement on the very models.

**Quantizers that nothing simple orders.** Twelve others, on the same problems: rounding to few values, noise of exactly
the size of its error in the weights (equal in size, not in exposure), stochastic rounding, and GPTQ calibrated on
*members*, which may spare these. Spearman's correlation was chosen on the development halves of both families.

{unlike(others)}

**What an audit states.** Tau orders all pairs, near ties as well. An audit states an order only where the paired
difference of exposures excludes 0 after Holm, at 95 %, and calls the others tied. Of the pairs that the truth
separates on the test problems:

{statements(codebooks, others)}

Four trainings state less than two because two pairs also tell, with one degree of freedom, how much trainings vary; one
pair knows its samples only.

**Targets.** Set beforehand: tau 0.95 from 2 trainings, 0.98 from 4, predicted advantage within 0.02. The measure first
meant, exposure, missed both on the test problems. The list was devised after that, on the development problems; since
the test problems had been seen by then, {len(codebooks[FRESH])} fresh ones were added, which are reported as they came
out the first time: {"; ".join(each.name for each in codebooks[FRESH])}.
The targets were meant for codebooks; the others are held to them as well.

{targets(codebooks, others)}

The predicted advantage is off by {distances(codebooks)}. Single predictions are worse than their mean: "within 0.02"
below is the share that meets the target. Of sixteen other statistics of the same twins (movement with class means taken
out, powers of it, movement against that of held-out samples, AUCs, and products of two or three of these) none exceeded
0.955 from 2 trainings and 0.974 from 4 on the development half, where exposure has 0.954 and 0.971.

r_Q is the value of `theory.indicator` before what cannot be told from 0 is replaced by an upper bound; `median` and
`min` are plain plug-ins, without the product's choice on one half and measurement on the other.

On codebooks, by problems: those that everything was chosen on, those held back, and the fresh ones:

{markdown(["problems", "measure", "2 trainings", "4", "8"], halves)}

The list against the AUC of one attack as truth:

{markdown(["truth", "2 trainings", "4", "8"], other)}

The list by problem:

{by_problem(problems, LISTED)}

**Predicted advantage**, `PairedReplicates().advantage(table)`, against that of the strongest attack with {SHADOWS}
shadow models, over quantizers and draws. Its one constant, 0.1, was fitted on the development half (0.020, 0.016 and
0.014 there). With one factor for all, 1.1, as before, distances were 0.023, 0.019 and 0.017: the clearer members stand
out, the more references add.

{predictions(problems)}

**What did not work.** Signal differences between twins vary in scale from quantizer to quantizer and, in half-broken
low-bit models, from twin to twin; that is what costs the AUC of `paired_replicates` its order with 2 trainings. Taking
out each class's mean change helps the mean rise of the signal but not AUCs. Dividing by a power of the deviation is as
good as exposure, at the price of a fitted exponent. The mean rise of probability alone, the share of samples that
rise, the advantage at the best threshold, medians and medians of deviations order worse. Averages within bins of
difficulty hardly change the predicted advantage. One start for all trainings (see the table) does not help: on the
development half 0.964, 0.967 and 0.986 from 2, 4 and 8; so an audit lets its models vary as the real training does.
Orders of data cannot be shared by complementary halves.
{TRIED}"""


def main() -> None:
    """Write the section, or print the development half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--figure", action="store_true", help="draw the figure from the section that stands there")
    parser.add_argument("--half", choices=HALVES, help="print the table of one half, write nothing")
    options = parser.parse_args()
    if options.folder is None and not options.figure:
        parser.error("the folder of the tables is missing")
    if options.figure:
        figure((HERE / "RESULTS.md").read_text(), FIGURE)
        return
    if options.half:
        problems = judged(options.folder, options.half)
        print(table(problems), by_problem(problems, LISTED), predictions(problems), sep="\n\n")
        return
    section = report(*({half: judged(options.folder, half, family) for half in HALVES} for family in FAMILIES))
    figure(section, FIGURE)
    write_section("fidelity", section, packages=("numpy", "torch"))


if __name__ == "__main__":
    main()
