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
QM019  membership contradicts the channel: a version spares members
QM020  a version is no better than a constant guess
QM021  columns of the inputs are on scales that lie far apart
QM022  attacks show a larger epsilon than the training is certified for
QM023  what the certified epsilon leaves open
"""

from collections.abc import Mapping, Sequence

from quantmis.analysis.certificate_findings import left_open, refuted
from quantmis.analysis.data_findings import (
    Found,
    columns_far_apart,
    confounded,
    members_do_worse,
    near_duplicates,
    other_size,
    repeated_samples,
    scales_far_apart,
    spared_members,
)
from quantmis.analysis.settings import AnalysisSettings
from quantmis.analysis.subject import SubjectAnalysis
from quantmis.measures.gain_over_constant_guess import GAIN_OVER_CONSTANT_GUESS, lost_all
from quantmis.measures.indicator import INDICATOR
from quantmis.measures.security import SECURITY
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.measures.utility import UTILITY
from quantmis.results import Agreement, Control, Data, Finding, TargetResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

SHADOWS_ADVISED = 32
MOST_NAMED = 4


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
    findings = [
        *_failed_controls(controls),
        *refuted(subjects),
        *confounded(target),
        *left_open(subjects),
        *members_do_worse(subjects),
        *near_duplicates(target),
        *scales_far_apart(subjects),
        *repeated_samples(data),
        *columns_far_apart(data),
        *_hardly_learned(versions, settings, target),
        *_lost_all(versions, target),
        *_shallow(settings),
        *_few_shadows(settings),
        *other_size(settings, data, target),
        *_not_counted(settings),
        *_untouched(versions),
        *_slow(engines_refused),
        *_disagreement(agreement),
        *_contradicted(subjects, settings.level),
        *spared_members(subjects),
        *_refuted(versions),
        *_unresolved(versions),
        *_damaged(damaged),
    ]
    return [Finding(code=code, text=text) for code, text in findings]


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


def _hardly_learned(
    versions: Sequence[VersionResult], settings: AnalysisSettings, target: TargetResult | Unmeasured
) -> Found:
    alone = settings.depth == "as-is"
    baselines = target.versions[:1] if isinstance(target, TargetResult) else []
    for own, record in [(alone, versions[0]), *((True, each) for each in baselines)]:
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


def _lost_all(versions: Sequence[VersionResult], target: TargetResult | Unmeasured) -> Found:
    own = target.versions if isinstance(target, TargetResult) else []
    names = [
        each.name
        for records in (versions, own)
        for each in records
        if lost_all(each[GAIN_OVER_CONSTANT_GUESS], records[0][GAIN_OVER_CONSTANT_GUESS])
    ]
    if names:
        yield (
            "QM020",
            (
                f"{', '.join(dict.fromkeys(names))}: not beyond doubt better than a constant guess, which full "
                "precision is. What knows nothing gives nothing away, so it is not named among the least exposed. Was "
                "a version that was made elsewhere read as it runs?"
            ),
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
        examples = "; ".join(f"{less} below {more}" for less, more in pairs[:MOST_NAMED])
        rest = f"; and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
        yield (
            "QM018",
            (
                f"Exposure between twins puts versions beyond doubt in another order than the AUC between twins: "
                f"{examples}{rest}. Exposure depends on the scale of outputs, so that a version can look less exposed "
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
