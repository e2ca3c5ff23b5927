"""The tables of a study, in Markdown: pure functions of its outcomes."""

import math
from collections.abc import Sequence
from statistics import mean

from quantmis.stats import Estimate
from quantmis.studies.contrasts import (
    ANY,
    PROPORTION,
    Number,
    Range,
    Score,
    agreement,
    clustered,
    exposed_by_indicator,
    exposed_by_security,
    exposure,
    over,
    paired,
    ranks,
    security_agreement,
)
from quantmis.studies.findings import Finding, spoken
from quantmis.studies.outcome import LOWER_IS_BETTER, Outcome, QuantizerOutcome
from quantmis.studies.section import markdown
from quantmis.studies.utility import RANGES

WORDS = {"accuracy": "accuracy", "auroc": "AUROC", "auprc": "AUPRC", "mae": "MAE", "spearman": "Spearman"}
NOT_NEGATIVE = (0.0, math.inf)


def by_rank(outcomes: Sequence[Outcome], level: float) -> str:
    """Return the mean rank of every quantizer by each measure, 1 = gives away least, over clusters of problems."""
    scores: dict[str, Score] = {
        "LiRA": exposure,
        "paired replicates": paired,
        "indicator r_Q": exposed_by_indicator,
        "security by theory": exposed_by_security,
    }
    numbers = {word: ranks(outcomes, score) for word, score in scores.items()}
    first = outcomes[0].quantizers
    places = (1.0, float(len(first)))
    rows = [
        [
            f"`{each.name}`",
            f"{each.bits_per_weight:.2f}",
            f"{each.sparsity:.0%}",
            *(_cell(outcomes, numbers[word][each.name], level, places, 1) for word in scores),
            _cell(outcomes, _of(each.name, exposure), level, PROPORTION),
            _cell(outcomes, _lost(each.name), level, digits=2),
        ]
        for each in sorted(first, key=lambda each: mean(clustered(outcomes, numbers["LiRA"][each.name])))
    ]
    header = ["quantizer", "bits", "zeros", *(f"rank by {word}" for word in scores), "LiRA AUC", "skill lost"]
    return markdown(header, rows)


def by_problem(outcomes: Sequence[Outcome], fact: Sequence[str], level: float) -> str:
    """Return a row for each problem: the two ends of what is given away, and whether the theory orders quantizers."""
    taus = [
        agreement(exposed_by_indicator, exposure),
        security_agreement(exposure),
        agreement(paired, exposure),
        security_agreement(exposed_by_indicator),
    ]
    rows = [
        [
            *(outcome.facts[name] for name in fact),
            outcome.members,
            spoken(outcome.quantizers[0].utility),
            spoken(outcome.quantizers[0].lira),
            spoken(_least(outcome).lira),
            f"`{_least(outcome).name}`",
            *(_plain(tau(outcome)) for tau in taus),
        ]
        for outcome in outcomes
    ]
    utility = f"{WORDS[outcomes[0].metric]}, full precision"
    header = [*fact, "n", utility, "LiRA AUC, full precision", "LiRA AUC, least", "of"]
    names = ("r_Q and LiRA", "security by theory and LiRA", "paired replicates and LiRA", "r_Q and security by theory")
    return markdown([*header, *(f"tau: {each}" for each in names)], rows)


def by_task(outcomes: Sequence[Outcome], level: float) -> str:
    """Return the privacy-utility table of one task: the mean over its embedders, with Student's interval over them.

    Fewer than three embedders give the mean alone.
    """
    apart = [each.model_copy(update={"cluster": each.problem}) for each in outcomes]
    measures: dict[str, Score] = {"LiRA AUC": exposure, "paired replicates AUC": paired}
    rows = [
        [
            f"`{each.name}`",
            _cell(apart, _of(each.name, _utility), level, RANGES.get(outcomes[0].metric, PROPORTION)),
            *(_cell(apart, _of(each.name, score), level, PROPORTION) for score in measures.values()),
            _cell(apart, _of(each.name, _thousandfold), level, NOT_NEGATIVE, 2),
        ]
        for each in outcomes[0].quantizers
    ]
    better = "lower is better" if outcomes[0].metric in LOWER_IS_BETTER else "higher is better"
    return markdown(["quantizer", f"{WORDS[outcomes[0].metric]} ({better})", *measures, "1000 r_Q"], rows)


def utilities(outcomes: Sequence[Outcome]) -> str:
    """Return the utility in full precision, a row for each task and a column for each embedder."""
    tasks = list(dict.fromkeys(each.cluster for each in outcomes))
    embedders = list(dict.fromkeys(str(each.facts["embedder"]) for each in outcomes))
    rows = [[task, *_row([each for each in outcomes if each.cluster == task], embedders)] for task in tasks]
    return markdown(["task", "metric", "chance", *embedders], rows)


def findings_table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table."""
    rows = [
        [f"**{each.verdict}**", each.claim.text, each.claim.source, each.claim.meaning, spoken(each.number)]
        for each in findings
    ]
    return markdown(["verdict", "claim", "whose", "the number (above 0, or its bar, where it holds)", "value"], rows)


def _row(outcomes: Sequence[Outcome], embedders: Sequence[str]) -> list[str]:
    by_name = {str(each.facts["embedder"]): spoken(each.quantizers[0].utility) for each in outcomes}
    return [WORDS[outcomes[0].metric], f"{outcomes[0].chance:.3f}", *(by_name.get(name, "") for name in embedders)]


def _of(name: str, score: Score) -> Number:
    return lambda outcome: score(outcome.of(name))


def _lost(name: str) -> Number:
    return lambda outcome: outcome.lost(name) if outcome.skilled else None


def _utility(quantizer: QuantizerOutcome) -> float:
    return quantizer.utility.value


def _thousandfold(quantizer: QuantizerOutcome) -> float | None:
    return 1000 * quantizer.indicator.value if isinstance(quantizer.indicator, Estimate) else None


def _cell(outcomes: Sequence[Outcome], number: Number, level: float, within: Range = ANY, digits: int = 3) -> str:
    """Write the mean of a number with its interval; where there are too few problems for one, that."""
    estimate, means = over(outcomes, number, level, within), clustered(outcomes, number)
    if isinstance(estimate, Estimate) or not means:
        return spoken(estimate, digits)
    return f"{mean(means):.{digits}f} ({len(means)} problems, too few for an interval)"


def _least(outcome: Outcome) -> QuantizerOutcome:
    return min(outcome.quantizers, key=exposure)


def _plain(tau: float | None) -> str:
    return "no order" if tau is None else f"{tau:.2f}"
