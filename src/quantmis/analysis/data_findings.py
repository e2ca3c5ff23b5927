"""Findings about the samples of an audit and about who was trained on which; their codes stand in `findings`."""

import math
from collections.abc import Iterator, Sequence

from quantmis.analysis.settings import AnalysisSettings
from quantmis.analysis.subject import SubjectAnalysis
from quantmis.attacks.moments import spread_of_scales
from quantmis.measures import ScoredVersion
from quantmis.measures.predicted_advantage import PREDICTED_ADVANTAGE, advantage_seen
from quantmis.results import BlindBaseline, Data, TargetResult
from quantmis.stats import Estimate, Unmeasured

FARTHEST = 1e3
"""How many times as far as those of a typical sample the signals of one may vary between models."""

MOST_APART = 1.25
"""How many times the training set of the shadow models may be that of the target, or the other way round."""

COLUMNS_APART = 100.0
"""How many times the spread of a typical column of the inputs the largest may be."""

Found = Iterator[tuple[str, str]]


def confounded(target: TargetResult | Unmeasured) -> Found:
    """Say that members differ from non-members by themselves."""
    if isinstance(target, TargetResult) and isinstance(target.blind, BlindBaseline) and target.blind.differs:
        auc = target.blind.auc
        how_well = f"AUC {auc.value:.2f}, at least {auc.low:.2f}" if isinstance(auc, Estimate) else auc.reason
        yield (
            "QM011",
            (
                f"Members can be told from non-members without the model ({how_well}): the two sets differ by "
                "themselves, in when, where or how they were collected. Every number about this model may show that "
                "difference rather than what the model remembers. Draw both sets at random from one pool."
            ),
        )


def near_duplicates(target: TargetResult | Unmeasured) -> Found:
    """Say how many members look like a non-member."""
    if isinstance(target, TargetResult) and target.near_duplicates:
        yield (
            "QM014",
            (
                f"{target.near_duplicates:,} members look like a non-member: pictures saved again, or texts edited. "
                "Where they are the same thing twice, every attack on them is a coin, and more is given away than "
                'measured. Look at them, or leave both out: [target] overlap = "drop".'
            ),
        )


def members_do_worse(subjects: Sequence[SubjectAnalysis]) -> Found:
    """Name the versions whose members are told by doing worse."""
    bounds = {each.table.name: each.bound for subject in subjects for each in subject.scored}
    names = [
        name
        for name, bound in bounds.items()
        if bound.is_reversed and isinstance(bound.accuracy, Estimate) and bound.accuracy.low > 0.5
    ]
    if names:
        yield (
            "QM016",
            (
                f"The strongest attack on {', '.join(names)} tells members by scores that are lower than those of "
                "non-members: the model does worse on its members. Are the two sets exchanged? Do they differ by "
                "themselves? Is it the model that was trained on them? Where all is as it should be, this gives "
                "members away like any other difference."
            ),
        )


def spared_members(subjects: Sequence[SubjectAnalysis]) -> Found:
    """Name the versions of which members give away beyond doubt more than the channel lets pass."""
    names = [
        version.table.name
        for subject in subjects
        for version, record in zip(subject.scored, subject.records, strict=True)
        if spares_members(version, record[PREDICTED_ADVANTAGE])
    ]
    if names:
        yield (
            "QM019",
            (
                f"{', '.join(names)}: members can be told beyond doubt better than the channel predicts from records "
                "that were not trained on. The version upsets others and spares members, so distortion, rho and the "
                "predicted advantage make it look more private than it is. Attacks and twins lead."
            ),
        )


def spares_members(version: ScoredVersion, predicted: Estimate | Unmeasured) -> bool:
    """Say whether members give away beyond doubt more than is predicted from what the channel lets pass.

    The two err for different reasons, so their errors add as squares.
    """
    if version.is_full_precision or isinstance(predicted, Unmeasured):
        return False
    seen = advantage_seen(version)
    if isinstance(seen, Unmeasured):
        return False
    return seen.value - predicted.value > math.hypot(seen.value - seen.low, predicted.high - predicted.value)


def scales_far_apart(subjects: Sequence[SubjectAnalysis]) -> Found:
    """Say that a few samples vary on another scale than the rest."""
    spreads = {table.name: spread_of_scales(table.audited.signals) for each in subjects for table in each.tables}
    far = {name: factor for name, factor in spreads.items() if factor >= FARTHEST}
    if far:
        yield (
            "QM015",
            (
                f"Between models the signals of one sample vary {max(far.values()):,.0f} times as far as those of a "
                f"typical one ({', '.join(far)}). A target written as 99,999, or two units in one column, does that. "
                "No attack lets one sample decide for others, but the mean loss and the training itself do."
            ),
        )


def columns_far_apart(data: Data) -> Found:
    """Say that columns of the inputs differ so much in spread that most of them count for nothing."""
    if data.columns_apart is not None and data.columns_apart >= COLUMNS_APART:
        yield (
            "QM021",
            (
                f"One column of the inputs varies {data.columns_apart:,.0f} times as far as a typical one. Unless the "
                "model scales its inputs itself, it learns little from the others, and a model that learned little "
                'gives little away: were the inputs scaled where it was trained? [data] scale = "standard".'
            ),
        )


def repeated_samples(data: Data) -> Found:
    """Say that samples repeat others, where nobody named groups."""
    if data.copies and data.groups is None:
        yield (
            "QM017",
            (
                f"{data.copies:,} samples repeat an earlier one, by their bytes or but for rounding. Copies were kept "
                "on one side and counted as one. Do more samples belong together, as those of one patient, document or "
                "scaffold? Then the intervals are too narrow: name their column, [data] groups, or "
                "qm.Samples(groups=...)."
            ),
        )


def other_size(settings: AnalysisSettings, data: Data, target: TargetResult | Unmeasured) -> Found:
    """Say that shadow models and target were trained on unlike numbers of samples."""
    if settings.depth != "shadow" or isinstance(target, Unmeasured):
        return
    if not 1 / MOST_APART < data.members_per_model / target.members < MOST_APART:
        yield (
            "QM012",
            (
                f"The shadow models were trained on {data.members_per_model:,} samples and this model on "
                f"{target.members:,}. Models of less data remember more of each sample, so the attacks on this model "
                f"are weaker than they could be. {_remedy(target)}"
            ),
        )


def _remedy(target: TargetResult) -> str:
    """Say what would make the shadow models as large as the target: as many non-members, or fewer samples held out."""
    if not 1 / MOST_APART < target.non_members / target.members < MOST_APART:
        return "Give as many non-members as members."
    return (
        "Part of the samples was held out from them: set a smaller held_out, or give 100 samples or more that are "
        "neither members nor non-members, which are held out then."
    )
