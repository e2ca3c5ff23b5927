"""The tables of a study, in Markdown: pure functions of its outcomes."""

from collections.abc import Sequence

from quantmis.stats import Estimate
from quantmis.studies.contrasts import (
    Number,
    Score,
    agreement,
    exposed_by_indicator,
    exposed_by_security,
    exposure,
    over,
    paired,
    ranks,
)
from quantmis.studies.findings import Finding, spoken
from quantmis.studies.outcome import Outcome, QuantizerOutcome
from quantmis.studies.section import markdown

WORDS = {"accuracy": "accuracy", "auroc": "AUROC", "auprc": "AUPRC", "mae": "MAE", "spearman": "Spearman"}


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
    rows = [
        [
            f"`{each.name}`",
            f"{each.bits_per_weight:.2f}",
            f"{each.sparsity:.0%}",
            *(spoken(over(outcomes, numbers[word][each.name], level), 1) for word in scores),
            spoken(over(outcomes, _of(each.name, exposure), level)),
            spoken(over(outcomes, _lost(each.name), level), 2),
        ]
        for each in sorted(first, key=lambda each: _sorted(over(outcomes, numbers["LiRA"][each.name], level)))
    ]
    header = ["quantizer", "bits", "zeros", *(f"rank by {word}" for word in scores), "LiRA AUC", "skill lost"]
    return markdown(header, rows)


def by_problem(outcomes: Sequence[Outcome], fact: Sequence[str], level: float) -> str:
    """Return a row for each problem: the two ends of what is given away, and whether the theory orders quantizers."""
    taus = [agreement(score, exposure) for score in (exposed_by_indicator, exposed_by_security, paired)]
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
    return markdown([*header, "tau: r_Q", "tau: security", "tau: paired replicates"], rows)


def by_task(outcomes: Sequence[Outcome], level: float) -> str:
    """Return the privacy-utility table of one task: the mean over its embedders, with Student's interval over them."""
    apart = [each.model_copy(update={"cluster": each.problem}) for each in outcomes]
    measures: dict[str, Score] = {"LiRA AUC": exposure, "paired replicates AUC": paired}
    rows = [
        [
            f"`{each.name}`",
            spoken(over(apart, _of(each.name, _utility), level)),
            *(spoken(over(apart, _of(each.name, score), level)) for score in measures.values()),
            _rate(apart, each.name, level),
        ]
        for each in outcomes[0].quantizers
    ]
    better = "lower is better" if outcomes[0].metric == "mae" else "higher is better"
    return markdown(["quantizer", f"{WORDS[outcomes[0].metric]} ({better})", *measures, "1000 r_Q"], rows)


def utilities(outcomes: Sequence[Outcome]) -> str:
    """Return the utility in full precision, a row for each task and a column for each embedder."""
    tasks = list(dict.fromkeys(each.cluster for each in outcomes))
    embedders = list(dict.fromkeys(str(each.facts["embedder"]) for each in outcomes))
    rows = [[task, *_row([each for each in outcomes if each.cluster == task], embedders)] for task in tasks]
    return markdown(["task", "metric", "chance", *embedders], rows)


def found(findings: Sequence[Finding]) -> str:
    """Return the findings as a table."""
    rows = [
        [f"**{each.verdict}**", each.claim.text, each.claim.source, each.claim.meaning, spoken(each.found)]
        for each in findings
    ]
    return markdown(["verdict", "claim", "whose", "the number (positive where the claim holds)", "value"], rows)


def _row(outcomes: Sequence[Outcome], embedders: Sequence[str]) -> list[str]:
    by_name = {str(each.facts["embedder"]): spoken(each.quantizers[0].utility) for each in outcomes}
    return [WORDS[outcomes[0].metric], f"{outcomes[0].chance:.3f}", *(by_name.get(name, "") for name in embedders)]


def _of(name: str, score: Score) -> Number:
    return lambda outcome: score(outcome.of(name))


def _lost(name: str) -> Number:
    return lambda outcome: outcome.lost(name) if outcome.skilled else None


def _utility(quantizer: QuantizerOutcome) -> float:
    return quantizer.utility.value


def _rate(outcomes: Sequence[Outcome], name: str, level: float) -> str:
    def thousandfold(quantizer: QuantizerOutcome) -> float | None:
        return 1000 * quantizer.indicator.value if isinstance(quantizer.indicator, Estimate) else None

    return spoken(over(outcomes, _of(name, thousandfold), level), 2)


def _least(outcome: Outcome) -> QuantizerOutcome:
    return min(outcome.quantizers, key=exposure)


def _sorted(rank: object) -> float:
    return rank.value if isinstance(rank, Estimate) else 0.0


def _plain(tau: float | None) -> str:
    return "no order" if tau is None else f"{tau:.2f}"
