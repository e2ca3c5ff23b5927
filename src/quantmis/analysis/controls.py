"""Tests of the audit itself, whose true answers are known, and controls that say what a number means.

*Shuffled membership*: memberships drawn anew, so that there is nothing to find; every attack must come out at a coin's
AUC, and so must the joint attacks on several versions. *Different trainings*: as many trainings, as many models; where
some ended in the same one, a recipe or a factory shares what each training should have for itself. *Planted leak*: the
losses of members are lowered in a copy of the table; every attack must find it. *Canaries*: wrongly labelled copies,
trained on like other samples on request, which a model can only fit by remembering. *Matched noise*: Gaussian noise of
the same size in each layer as a quantizer's error, to tell "low precision protects" from "any perturbation of that size
protects"; it has no right answer and is there to be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Shaped
from threadpoolctl import threadpool_limits

from quantmis import seeds
from quantmis.analysis.kept import controls_entry, controls_of
from quantmis.analysis.recall import Entry, Recall, anew, settings_input, table_inputs
from quantmis.analysis.release import joint_scores, release_sets
from quantmis.analysis.settings import AnalysisSettings
from quantmis.attacks import Attack
from quantmis.data.membership import complementary_halves
from quantmis.evidence import Evidence
from quantmis.registry import spelling
from quantmis.results import Control
from quantmis.stats import Estimate, Unmeasured, compare, evaluate
from quantmis.tables import LossTable

LEVEL = 0.999
"""Controls are judged at this level, so that a sound audit fails one in a thousand."""

PLANTED = 6.0
FOUND = 0.9


@threadpool_limits.wrap(limits=1, user_api="blas")
def controls(
    tables: Sequence[LossTable], noises: Sequence[LossTable], settings: AnalysisSettings, recall: Recall = anew
) -> list[Control]:
    """Return what the controls found; the first table is the full-precision one. What `recall` knows is kept."""
    every, whole = {table.name: table for table in tables}, tables[0]
    release = [every[name] for names in release_sets(list(every), settings.release)[:1] for name in names]
    by_noise = [(every[_quantizer_of(noise)], noise) for noise in noises]
    tests = [
        ("different trainings", [whole], lambda: different_trainings(whole)),
        ("shuffled membership", [whole], lambda: shuffled_membership(whole, settings)),
        ("planted leak", [whole], lambda: planted_leak(whole, settings)),
        ("shuffled release", release, lambda: shuffled_release(tables, settings)),
        ("canaries", tables, lambda: canaries(tables, settings)),
        *(("matched noise", pair, partial(_one_noise, *pair, settings)) for pair in by_noise),
    ]
    own = {id(table): table_inputs(table) for table in (*tables, *noises)}
    asked = [settings_input(settings)]
    records = list[Control]()
    for name, about, test in tests:
        inputs = [name, *asked, *(word for table in about for word in own[id(table)])]
        records += recall("control", inputs, partial(_entry_of, test), controls_of)
    return records


def _entry_of(test: Callable[[], list[Control]]) -> Entry:
    return controls_entry(test())


def _one_noise(table: LossTable, noise: LossTable, settings: AnalysisSettings) -> list[Control]:
    return [_against_noise(table, noise, settings.lead_attack, settings.level)]


def different_trainings(table: LossTable) -> list[Control]:
    """Count the different models among those in full precision: each was trained on other samples than the rest."""
    models = len(table.traits)
    if models == 1:
        return []
    count = len({each.fingerprint for each in table.traits})
    expected = f"{models}: every training ends in a model of its own, and no two share weights"
    found = Estimate(count, count, count, LEVEL)
    return [_judged("different trained models", table.name, expected, found, count == models)]


def shuffled_membership(table: LossTable, settings: AnalysisSettings) -> list[Control]:
    """Run every attack on one quantizer with the memberships of another plan: no attack may beat a coin."""
    audited = table.audited
    other = audited.relabelled(_another(audited.member, settings.seed, audited.groups))
    return [
        _judged(
            f"shuffled membership, {spelling(attack)}",
            table.name,
            "AUC 0.5: who was a member is drawn anew, so there is nothing to find",
            area := _auc(attack, other),
            area.low <= 0.5 <= area.high,
        )
        for attack in settings.attacks
    ]


def _another(
    member: Bool[np.ndarray, "models samples"], seed: int, groups: Shaped[np.ndarray, " samples"] | None
) -> Bool[np.ndarray, "models samples"]:
    """Return memberships of the same kind drawn anew: complementary halves, or as many members of a single model.

    Whole groups are drawn, as many of them, where there are `groups`.
    """
    generator = seeds.generator(seed, "control", "shuffled")
    models, samples = member.shape
    if models > 1:
        spare = samples % 2 if groups is None else 0  # one more where they are odd, and left out again
        return complementary_halves(models, samples + spare, generator, groups)[:, :samples]
    if groups is None:
        return generator.permuted(member, axis=1)
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return generator.permuted(member[:, first], axis=1)[:, number]


def shuffled_release(tables: Sequence[LossTable], settings: AnalysisSettings) -> list[Control]:
    """Run every joint attack on the first release set with the memberships of another plan: none may beat a coin."""
    by_name = {table.name: table.audited for table in tables}
    own = [each for each in settings.attacks if each.bounds_security]
    attacks = [each for each in own if not each.uses_references or each == settings.lead_attack]
    records = list[Control]()
    for names in release_sets(list(by_name), settings.release)[:1]:
        groups = by_name[names[0]].groups
        other = _another(by_name[names[0]].member, settings.seed, groups)
        scores = joint_scores({name: by_name[name].relabelled(other) for name in names}, attacks, settings)
        areas = {
            name: evaluate(each, other, LEVEL, groups=groups).auc
            for name, each in scores.items()
            if not isinstance(each, Unmeasured)
        }
        records += [
            _judged(
                f"shuffled membership, {name} on {len(names)} versions together",
                names[0],
                "AUC 0.5: who was a member is drawn anew, so that several versions have nothing to give away together",
                area,
                area.low <= 0.5 <= area.high,
            )
            for name, area in areas.items()
        ]
    return records


def planted_leak(table: LossTable, settings: AnalysisSettings) -> list[Control]:
    """Lower the losses of members by six standard deviations in a copy of the table: every attack must notice."""
    audited = table.audited
    leak = PLANTED * audited.losses.std() * audited.member
    signal = None if audited.signal is None else audited.signal + PLANTED * audited.signal.std() * audited.member
    entropy = None if audited.entropy is None else audited.entropy - PLANTED * audited.entropy.std() * audited.member
    signals = {name: each + PLANTED * each.std() * audited.member for name, each in audited.named.items()}
    leaking = replace(audited, losses=audited.losses - leak, signal=signal, entropy=entropy, named=signals)
    expected = f"AUC above {FOUND}: the losses of members were lowered by {PLANTED:.0f} standard deviations"
    return [
        _judged(
            f"planted leak, {spelling(attack)}",
            table.name,
            expected,
            area := _auc(attack, leaking),
            area.value > FOUND,
        )
        for attack in settings.attacks
    ]


def canaries(tables: Sequence[LossTable], settings: AnalysisSettings) -> list[Control]:
    """Attack the canaries alone under each quantizer; in full precision they must be found.

    Random texts are told apart by how often they stood in a training set, which the result says by itself.
    """
    if not settings.canaries or tables[0].repeats is not None:
        return []
    lead = settings.lead_attack
    expected = f"AUC above 0.5 in full precision: {settings.canaries} wrongly labelled copies were trained on"
    areas = [_auc(lead, table.canaries) for table in tables]
    passed = [areas[0].low > 0.5, *[None] * (len(tables) - 1)]
    return [
        _judged(f"canaries, {spelling(lead)}", table.name, expected, each, good)
        for table, each, good in zip(tables, areas, passed, strict=True)
    ]


def matched_noise(
    tables: Sequence[LossTable], noises: Sequence[LossTable], settings: AnalysisSettings
) -> list[Control]:
    """Compare each quantizer with noise of the size of its error: the paired difference of their AUC."""
    by_name = {table.name: table for table in tables}
    return [each for noise in noises for each in _one_noise(by_name[_quantizer_of(noise)], noise, settings)]


def _against_noise(table: LossTable, noise: LossTable, lead: Attack, level: float) -> Control:
    scores = {each.name: lead.score(each.audited) for each in (table, noise)}
    [pair] = compare(scores, table.audited.member, level, table.audited_groups)
    expected = (
        "no right answer: AUC of the quantizer minus that of Gaussian noise of the same size; below 0, low precision "
        "protects more than noise does"
    )
    return _judged(f"matched noise, {spelling(lead)}", table.name, expected, pair.estimate, None)


def _quantizer_of(noise: LossTable) -> str:
    return noise.name.removeprefix("matched_noise(of=").removesuffix(")")


def _auc(attack: Attack, table: Evidence) -> Estimate:
    each_other = attack.uses_references
    return evaluate(attack.score(table), table.member, LEVEL, groups=table.groups, each_other=each_other).auc


def _judged(name: str, version: str, expected: str, estimate: Estimate | Unmeasured, passed: bool | None) -> Control:
    good = None if passed is None else bool(passed)
    return Control(name=name, version=version, expected=expected, found=estimate, passed=good)
