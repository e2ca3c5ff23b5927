"""Two audits side by side: what each version gives away and is worth in one and in the other.

What was measured about *this training algorithm* is compared with the like, and so is *this model*. Where both audits
attacked models of the same memberships on the same samples of the same data, as after a change of the recipe, the
difference is *paired*: it is computed from the saved tables, and most of what varies falls out of it. Otherwise the two
numbers come from different models and samples, and the interval of their difference is that of independent ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from quantmis import results
from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.measures.auc import AUC
from quantmis.measures.utility import UTILITY
from quantmis.results import THIS_MODEL, TRAINING_ALGORITHM, AttackMetrics, Results, VersionResult, subjects
from quantmis.stats import Estimate, Unmeasured, compare
from quantmis.tables.saved import Damaged, read_table

Difference = Estimate | Unmeasured


@dataclass(frozen=True)
class Compared:
    """Hold one version of both audits: the AUC of `attack` in each and second minus first; and the utility likewise.

    `about` says what was measured: this training algorithm, by models that the audit trained, or this model.
    """

    about: str
    name: str
    attack: str
    exposure: tuple[Difference, Difference, Difference]
    utility: tuple[Difference, Difference, Difference]


@dataclass(frozen=True)
class ComparedAudit:
    """Hold what one audit says of its versions, by what they are about and their names."""

    folder: Path
    document: Results
    records: Mapping[tuple[str, str], VersionResult]

    @property
    def abouts(self) -> list[str]:
        """What the audit measured."""
        return list(dict.fromkeys(about for about, _ in self.records))


def compared(first: Path, second: Path) -> list[Compared]:
    """Return every version that both audits have; `UserError` where there is none, or nothing to compare it by."""
    one, other = _audit_in(first), _audit_in(second)
    keys = [key for key in one.records if key in other.records]
    if not keys:
        raise UserError("the two audits have no version in common", hint=_why_none(one, other))
    _require_common_attack(one, other)
    return [_compared(key, one, other) for key in keys]


def notes(first: Path, second: Path) -> list[str]:
    """Say what stands in one of the two audits only, and whether they are of the same data."""
    one, other = _audit_in(first), _audit_in(second)
    same = one.document.data.digest == other.document.data.digest
    sentences = [] if same else ["the two audits are of different data: their numbers come from different samples"]
    for name, side, rest in (("A", one, other), ("B", other, one)):
        alone = [f"{each} ({about})" for about, each in side.records if (about, each) not in rest.records]
        sentences += [f"only in {name}: {', '.join(alone)}"] if alone else []
    return sentences


def _audit_in(folder: Path) -> ComparedAudit:
    document = results.read(folder)
    records = {(subject.about, each.name): each for subject in subjects(document) for each in subject.versions}
    return ComparedAudit(folder, document, records)


def _why_none(one: ComparedAudit, other: ComparedAudit) -> str:
    if set(one.abouts) & set(other.abouts):
        return "audit the same quantizers in both"
    both = f"A is about {' and '.join(one.abouts)}, B about {' and '.join(other.abouts)}"
    return (
        f"{both}: attacks on a model are no attacks on models of a training algorithm; give both audits the same depth"
    )


def _require_common_attack(one: ComparedAudit, other: ComparedAudit) -> None:
    if not set(one.document.config.attacks) & set(other.document.config.attacks):
        raise UserError("the two audits have no attack in common", hint="run the same attacks in both")


def _attack(records: Sequence[VersionResult]) -> str:
    """Return the strongest attack that was carried out on both, or else any that both audits asked for."""
    common = [name for name in records[0].attacks if name in records[1].attacks]
    done = [name for name in common if all(isinstance(each.attacks[name].adaptive, AttackMetrics) for each in records)]
    bounding = [name for name in done or common if ATTACKS.parse(name).bounds_security] or done or common
    return max(bounding, key=lambda name: ATTACKS.parse(name).uses_references)


def _compared(key: tuple[str, str], one: ComparedAudit, other: ComparedAudit) -> Compared:
    records = [side.records[key] for side in (one, other)]
    attack = _attack(records)
    before, after = (_area(record, attack) for record in records)
    both_measured = isinstance(before, Estimate) and isinstance(after, Estimate)
    paired = _paired(attack, key, (one, other)) if both_measured else None
    return Compared(
        *key,
        attack,
        (before, after, paired or _independent(before, after)),
        (records[0][UTILITY], records[1][UTILITY], _independent(records[0][UTILITY], records[1][UTILITY])),
    )


def _area(record: VersionResult, attack: str) -> Difference:
    outcome = record.attacks[attack].adaptive
    return outcome[AUC] if isinstance(outcome, AttackMetrics) else outcome


def _paired(attack: str, key: tuple[str, str], sides: tuple[ComparedAudit, ComparedAudit]) -> Estimate | None:
    """Return the paired difference from the saved tables, where data, memberships and samples are the same."""
    if sides[0].document.data.digest != sides[1].document.data.digest:
        return None
    before, after = _scored(attack, key, sides[0]), _scored(attack, key, sides[1])
    if before is None or after is None:
        return None
    (first, table, columns), (second, other, also) = before, after
    if not np.array_equal(table.member, other.member) or not np.array_equal(columns, also):
        return None
    [pair] = compare({"0": first, "1": second}, table.member, groups=table.groups)
    estimate = pair.estimate
    return Estimate(-estimate.value, -estimate.high, -estimate.low, estimate.level, estimate.method)


def _scored(attack: str, key: tuple[str, str], side: ComparedAudit) -> tuple[np.ndarray, Evidence, np.ndarray] | None:
    """Return the scores of an attack on one version, its table, and the columns of that; None without its tables.

    The attacker's own models are the other rows of the table or, for this model, the trained ones of the same name.
    """
    path, runs = side.folder / side.records[key].table, ATTACKS.parse(attack)
    if not path.is_file():
        return None
    whole, columns = _table(path)
    reference = None
    if key[0] == THIS_MODEL and runs.uses_references:
        trained = side.records.get((TRAINING_ALGORITHM, key[1]))
        if trained is None or not (side.folder / trained.table).is_file():
            return None
        reference = _table(side.folder / trained.table)[0].columns(columns)
    evidence = whole.columns(columns)
    return runs.score(evidence, reference), evidence, columns


def _table(path: Path) -> tuple[Evidence, np.ndarray]:
    """Return a saved loss table, and the numbers of the columns that attacks were tried on."""
    try:
        table = read_table(path, path.stem, "models")
    except Damaged as error:
        raise UserError(f"{path} is no table of an audit: {error}", hint="run the audit again") from error
    return table.evidence, np.flatnonzero(table.is_audited)


def _independent(before: Difference, after: Difference) -> Difference:
    if isinstance(before, Unmeasured) or isinstance(after, Unmeasured):
        return Unmeasured("one of the two was not measured")
    down = float(np.hypot(after.value - after.low, before.high - before.value))
    up = float(np.hypot(after.high - after.value, before.value - before.low))
    value = after.value - before.value
    return Estimate(value, value - down, value + up, min(before.level, after.level), "of independent audits")


def table(rows: list[Compared]) -> Table:
    """Return the comparison as a table for people."""
    attacks = list(dict.fromkeys(row.attack for row in rows))
    one = len(attacks) == 1
    area = f"AUC of {attacks[0]}" if one else "AUC"
    grid = Table("version", "about", area, "change", "utility", "change", box=None, pad_edge=False)
    for row in rows:
        exposure = _both(row.exposure) + ("" if one else f" ({row.attack})")
        cells = [exposure, _text(row.exposure[2]), _both(row.utility), _text(row.utility[2])]
        grid.add_row(escape(row.name), row.about, *cells)
    return grid


def _both(pair: tuple[Difference, Difference, Difference]) -> str:
    return " to ".join("?" if isinstance(each, Unmeasured) else f"{each.value:.3f}" for each in pair[:2])


def _text(difference: Difference) -> str:
    if isinstance(difference, Unmeasured):
        return difference.reason
    paired = "" if difference.method == "of independent audits" else ", paired"
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}{paired})"
