"""What a reader must keep in mind, under stable codes.

QM001  a control failed: the numbers of this audit cannot be trusted
QM002  too few shadow models for a strong attack
QM003  layers were left in full precision
QM004  an engine that trains many models at once was not possible
QM005  the indicator and the attacks disagree
QM006  the indicator could not be resolved
QM007  a stored group was damaged and was computed again
QM008  security by theory is higher than an attack allows
QM009  an attack is told more than an attacker would know, and is not counted
QM010  the models hardly learned
QM011  members differ from non-members by themselves: the numbers of this model are confounded
QM012  the shadow models were trained on another number of samples than the target
QM013  an as-is audit does not see what shadow models would
QM014  members and non-members look alike
QM015  the signals of some samples vary a thousand times as far as those of others
QM016  members are told by doing worse than other samples
QM017  samples repeat others, and nobody said which belong together
QM018  two numbers about twins order versions differently
"""

from collections.abc import Iterator, Mapping, Sequence

from quantmis.analysis.settings import AnalysisSettings
from quantmis.analysis.subject import SubjectAnalysis
from quantmis.attacks.moments import spread_of_scales
from quantmis.measures.gain_over_constant_guess import GAIN_OVER_CONSTANT_GUESS
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.security import SECURITY
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.measures.utility import UTILITY
from quantmis.results import Agreement, BlindBaseline, Control, Data, Finding, TargetResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

SHADOWS_ADVISED = 32
MOST_NAMED = 4
FARTHEST = 1e3
"""How many times as far as those of a typical sample the signals of one may vary between models."""

MOST_APART = 1.25
"""How many times the training set of the shadow models may be that of the target, or the other way round."""


def find(
    versions: Sequence[VersionResult],
    controls: Sequence[Control],
    agreement: Sequence[Agreement],
    settings: AnalysisSettings,
    engines_refused: Mapping[str, str],
    damaged: Sequence[str],
    data: Data,
    target: TargetResult | Unmeasured,
    subjects: Sequence[SubjectAnalysis] = (),
) -> list[Finding]:
    """Return what must be said beside the numbers of an audit, the gravest first; `subjects` are all it analysed."""
    found = [
        *_failed_controls(controls),
        *_confounded(target),
        *_reversed(subjects),
        *_alike(target),
        *_far_apart(subjects),
        *_repeated(data),
        *_hardly_learned(versions, settings, target),
        *_shallow(settings),
        *_few_shadows(settings),
        *_other_size(settings, data, target),
        *_not_counted(settings),
        *_untouched(versions),
        *_slow(engines_refused),
        *_disagreement(agreement),
        *_contradicted(subjects, settings.level),
        *_refuted(versions),
        *_unresolved(versions),
        *_damaged(damaged),
    ]
    return [Finding(code=code, text=text) for code, text in found]


Found = Iterator[tuple[str, str]]


def _failed_controls(controls: Sequence[Control]) -> Found:
    for control in controls:
        if control.passed is False:
            yield (
                "QM001",
                (
                    f"The control '{control.name}' on {control.version} failed (expected: {control.expected}). "
                    "Something is wrong with this audit itself: do not rely on its numbers."
                ),
            )


def _confounded(target: TargetResult | Unmeasured) -> Found:
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


def _alike(target: TargetResult | Unmeasured) -> Found:
    if isinstance(target, TargetResult) and target.near_duplicates:
        yield (
            "QM014",
            (
                f"{target.near_duplicates:,} members look like a non-member: pictures saved again, or texts edited. "
                "Where they are the same thing twice, every attack on them is a coin, and more is given away than "
                'measured. Look at them, or leave both out: [target] overlap = "drop".'
            ),
        )


def _reversed(subjects: Sequence[SubjectAnalysis]) -> Found:
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


def _far_apart(subjects: Sequence[SubjectAnalysis]) -> Found:
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


def _repeated(data: Data) -> Found:
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


def _shallow(settings: AnalysisSettings) -> Found:
    if settings.depth == "as-is":
        yield (
            "QM013",
            (
                "An as-is audit trains nothing: the attacks know only this model's losses. Attacks with shadow models "
                "find more, above all on records that are hard or rare, so the exposure is probably larger than "
                "measured here; and r_Q and MIS, which compare several trainings, are not measured."
            ),
        )


def _other_size(settings: AnalysisSettings, data: Data, target: TargetResult | Unmeasured) -> Found:
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


def _hardly_learned(
    versions: Sequence[VersionResult], settings: AnalysisSettings, target: TargetResult | Unmeasured
) -> Found:
    alone = settings.depth == "as-is"
    given = target.versions[:1] if isinstance(target, TargetResult) else []
    for own, record in [(alone, versions[0]), *((True, each) for each in given)]:
        if own and isinstance(target, TargetResult) and target.stated is not None:
            continue  # what it is worth is as its owner says
        gain, utility = record[GAIN_OVER_CONSTANT_GUESS], record[UTILITY]
        if isinstance(gain, Estimate) and isinstance(utility, Estimate) and gain.low <= 0:
            yield (
                "QM010",
                (_THIS_MODEL if own else _THE_MODELS).format(
                    metric=record.utility_metric, value=utility.value, guessing=utility.value - gain.value
                ),
            )


_THIS_MODEL = (
    "In full precision this model is not beyond doubt better than a constant guess ({metric} {value:.2f}, the guess "
    "{guessing:.2f}). Was it trained on these columns, in this order, with this encoding and scale? If not, it was "
    "not audited. State what you know of it: [target] accuracy = 0.98."
)
_THE_MODELS = (
    "In full precision the models hardly learned ({metric} {value:.2f}, a constant guess has {guessing:.2f}). A model "
    "that learned nothing gives nothing away: check the recipe before reading the rest."
)


def _not_counted(settings: AnalysisSettings) -> Found:
    for attack in settings.attacks:
        if not attack.bounds_security:
            yield (
                "QM009",
                (
                    f"{attack.name} is told which records another model was trained on, which no attacker would know. "
                    "It orders the versions well, but does not count in how often an attacker is right."
                ),
            )


def _few_shadows(settings: AnalysisSettings) -> Found:
    if 0 < settings.shadows < SHADOWS_ADVISED:
        yield (
            "QM002",
            (
                f"Only {settings.shadows} shadow models were trained. With {SHADOWS_ADVISED} or more the attacks are "
                "stronger, so the exposure is probably larger than measured here."
            ),
        )


def _untouched(versions: Sequence[VersionResult]) -> Found:
    for each in versions:
        if each.untouched:
            yield "QM003", f"{each.name} left these layers in full precision: {', '.join(each.untouched)}."


def _slow(engines_refused: Mapping[str, str]) -> Found:
    for kind, reason in engines_refused.items():
        yield "QM004", f"The shadow models could not be trained by the engine '{kind}': {reason}"


def _disagreement(agreement: Sequence[Agreement]) -> Found:
    for each in agreement:
        about_attack = each.first == "indicator" and each.second != "security"
        if about_attack and isinstance(each.tau, Estimate) and each.tau.value < 0:
            yield (
                "QM005",
                (
                    f"The {each.first} and {each.second} order the quantizers differently (Kendall's tau "
                    f"{each.tau.value:.2f}). The attacks were carried out, the indicator is a theory: the attacks lead."
                ),
            )


def _contradicted(subjects: Sequence[SubjectAnalysis], level: float) -> Found:
    pairs = [pair for each in subjects for pair in each.contradicted(level)]
    if pairs:
        named = "; ".join(f"{less} below {more}" for less, more in pairs[:MOST_NAMED])
        left = f"; and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
        yield (
            "QM018",
            (
                f"Exposure between twins puts versions beyond doubt in another order than the AUC between twins: "
                f"{named}{left}. Exposure depends on the scale of outputs, so that a version can look less exposed "
                "than it is; orders are stated by the AUC."
            ),
        )


def _refuted(versions: Sequence[VersionResult]) -> Found:
    pairs = [(each.name, each[SECURITY], each[SECURITY_UPPER_BOUND]) for each in versions]
    names = [
        name
        for name, theory, bound in pairs
        if isinstance(theory, Estimate) and isinstance(bound, Estimate) and theory.low > bound.high
    ]
    if names:
        yield (
            "QM008",
            (
                "Security as the theory computes it, for a training that always finds the best of the models reached, "
                f"is higher than an attack that was carried out allows: {', '.join(names)}. These trainings remember "
                "more than that assumption admits; the attacks lead."
            ),
        )


def _unresolved(versions: Sequence[VersionResult]) -> Found:
    names = [each.name for each in versions if isinstance(each[INDICATOR], Estimate) and each[INDICATOR].reason]
    if names:
        yield "QM006", f"The indicator is below what the held-out samples resolve for {', '.join(names)}."


def _damaged(damaged: Sequence[str]) -> Found:
    for what in damaged:
        yield "QM007", f"Stored work was damaged and was computed again: {what}."
