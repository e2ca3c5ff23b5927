"""Two audits side by side: what each version gives away and is worth in one and in the other.

Where both audits attacked models of the same memberships on the same samples, as after a change of the recipe, the
difference is *paired*: it is computed from the saved tables, and most of what varies falls out of it. Otherwise the
two numbers come from different models and samples, and the interval of their difference is that of independent ones.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from quantmis import results
from quantmis.attacks import ATTACKS
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.results import AttackMetrics, QuantizerResult, Results
from quantmis.stats import Estimate, Unmeasured, compare

Difference = Estimate | Unmeasured


@dataclass(frozen=True)
class Compared:
    """Hold one version of both audits: the AUC of `attack` in each and second minus first; and the utility likewise."""

    name: str
    attack: str
    exposure: tuple[Difference, Difference, Difference]
    utility: tuple[Difference, Difference, Difference]


def compared(first: Path, second: Path) -> list[Compared]:
    """Return every version that both audits have; `UserError` where there is none, or nothing to compare it by."""
    one, other = results.read(first), results.read(second)
    names = [each.name for each in one.quantizers if each.name in {record.name for record in other.quantizers}]
    if not names:
        raise UserError("the two audits have no version in common", hint="audit the same quantizers in both")
    attack = _attack(one, other)
    return [_compared(name, attack, (first, one), (second, other)) for name in names]


def _attack(one: Results, other: Results) -> str:
    """Return the strongest attack that both audits ran."""
    common = [name for name in one.config.attacks if name in other.config.attacks]
    if not common:
        raise UserError("the two audits have no attack in common", hint="run the same attacks in both")
    bounding = [name for name in common if ATTACKS.parse(name).bounds_security] or common
    return max(bounding, key=lambda name: ATTACKS.parse(name).uses_references)


def _compared(name: str, attack: str, one: tuple[Path, Results], other: tuple[Path, Results]) -> Compared:
    records = [document.quantizer(name) for _, document in (one, other)]
    before, after = (_area(record, attack) for record in records)
    paired = _paired(attack, [(folder, record) for (folder, _), record in zip((one, other), records, strict=True)])
    return Compared(
        name,
        attack,
        (before, after, paired or _independent(before, after)),
        (records[0].utility, records[1].utility, _independent(records[0].utility, records[1].utility)),
    )


def _area(record: QuantizerResult, attack: str) -> Difference:
    found = record.attacks[attack].adaptive
    return found.auc if isinstance(found, AttackMetrics) else found


def _paired(attack: str, sides: list[tuple[Path, QuantizerResult]]) -> Estimate | None:
    """Return the paired difference from the saved tables, where their memberships are the same."""
    paths = [folder / record.table for folder, record in sides]
    if not all(path.is_file() for path in paths):
        return None
    tables = [_table(path) for path in paths]
    if not np.array_equal(tables[0].member, tables[1].member):
        return None
    scores = {str(side): ATTACKS.parse(attack).score(table) for side, table in enumerate(tables)}
    [pair] = compare(scores, tables[0].member)
    found = pair.estimate
    return Estimate(-found.value, -found.high, -found.low, found.level, found.method)


def _table(path: Path) -> Evidence:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            shown = arrays["attacked"]
            tables = {name: arrays[name][:, shown] for name in ("signal", "entropy") if name in arrays}
            return Evidence(arrays["losses"][:, shown], arrays["member"][:, shown], **tables)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is no table of an audit: {error}", hint="run the audit again") from error


def _independent(before: Difference, after: Difference) -> Difference:
    if isinstance(before, Unmeasured) or isinstance(after, Unmeasured):
        return Unmeasured("one of the two was not measured")
    down = float(np.hypot(after.value - after.low, before.high - before.value))
    up = float(np.hypot(after.high - after.value, before.value - before.low))
    value = after.value - before.value
    return Estimate(value, value - down, value + up, min(before.level, after.level), "of independent audits")


def table(rows: list[Compared]) -> Table:
    """Return the comparison as a table for people."""
    shown = Table("version", f"AUC of {rows[0].attack}", "change", "utility", "change", box=None, pad_edge=False)
    for row in rows:
        cells = [_both(row.exposure), _said(row.exposure[2]), _both(row.utility), _said(row.utility[2])]
        shown.add_row(escape(row.name), *cells)
    return shown


def _both(pair: tuple[Difference, Difference, Difference]) -> str:
    return " to ".join("?" if isinstance(each, Unmeasured) else f"{each.value:.3f}" for each in pair[:2])


def _said(found: Difference) -> str:
    if isinstance(found, Unmeasured):
        return found.reason
    paired = "" if found.method == "of independent audits" else ", paired"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}{paired})"
