"""Findings about what the training guarantees: attacks that refute it, and what it leaves open."""

from collections.abc import Iterator, Sequence

from quantmis.analysis.subject import SubjectAnalysis
from quantmis.measures.certified_epsilon import CERTIFIED_EPSILON
from quantmis.measures.epsilon_shown import EPSILON_SHOWN
from quantmis.stats import Estimate

Found = Iterator[tuple[str, str]]

CAUSES = (
    "data outside of the guarantee, such as a tokenizer, a scaler, a vocabulary or a calibration set that was fitted "
    "on members; batches that were shuffled where the accountant assumes that every record is drawn by a coin; "
    "gradients that were clipped by batch; or records that stand in the data more than once"
)


def refuted(subjects: Sequence[SubjectAnalysis]) -> Found:
    """Say that attacks show a larger epsilon than was guaranteed."""
    pairs = [pair for each in subjects for pair in zip(each.tables, each.records, strict=True)]
    shown = [(table, record[EPSILON_SHOWN]) for table, record in pairs]
    for table, epsilon in shown:
        if table.certified is None or not isinstance(epsilon, Estimate) or epsilon.low <= table.certified.epsilon:
            continue
        known = "; ".join(table.certified.uncovered)
        yield (
            "QM022",
            (
                f"{table.name}: attacks show an epsilon of at least {epsilon.low:.3g}, more than the "
                f"{table.certified.epsilon:g} that the training is certified for. One of the two is wrong, and the "
                "attack was carried out. "
                + (f"Known to be outside of the guarantee: {known}." if known else f"Look for {CAUSES}.")
            ),
        )


def left_open(subjects: Sequence[SubjectAnalysis]) -> Found:
    """Say where a guarantee says little: its delta is large, or something saw members outside of it."""
    certified = [(table, table.certified) for each in subjects for table in each.tables if table.certified is not None]
    for table, guarantee in certified[:1]:
        members = int(table.evidence.member[0].sum())
        if guarantee.delta > 1 / members:
            yield (
                "QM023",
                (
                    f"delta is {guarantee.delta:g}, more than one over the {members:,} records of a training set. By "
                    "convention it is less: a training that publishes one record in clear, drawn at random, keeps a "
                    "delta of one over their number."
                ),
            )
    phrases = dict.fromkeys(phrase for _, guarantee in certified for phrase in guarantee.uncovered)
    if phrases:
        yield (
            "QM023",
            (
                f"The certified epsilon does not cover {'; '.join(phrases)}. Versions that this concerns have no "
                f"{CERTIFIED_EPSILON.title.lower()}."
            ),
        )
