"""What was searched on is not what it is judged by: other samples, other trainings, an ordinary audit.

The samples are divided before the search. Groups, and copies of one sample, are on one side together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Int

from quantmis import seeds
from quantmis.attacks import PairedReplicates
from quantmis.audit.result import AuditResult
from quantmis.audit.search_options import SearchOptions
from quantmis.audit.target.target import Target
from quantmis.data import Samples
from quantmis.data.membership import hold_out, joined
from quantmis.errors import require
from quantmis.evidence import Evidence
from quantmis.gate import judge
from quantmis.gate.policy import Policy
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.search.judging import Judge, Judged
from quantmis.search.limits import Limit
from quantmis.search.record import Comparison, Confirmed, Worth
from quantmis.search.study import Tried
from quantmis.stats import Estimate
from quantmis.stats.average import average_difference
from quantmis.stats.cluster import pair_id
from quantmis.stats.compare import difference
from quantmis.tables import FULL_PRECISION, LossTable
from quantmis.tables.saved import read_table

Rows = Int[np.ndarray, " rows"]


def divided(samples: Samples, share: float, seed: int) -> tuple[Int[np.ndarray, " seen"], Int[np.ndarray, " unseen"]]:
    """Return the rows that the search sees, `share` of them or nearly so, and those that its result is measured on."""
    together = joined(samples.groups, samples.copies.codes)
    return hold_out(len(samples), 1 - share, seeds.generator(seed, "search", "samples"), together)


def part_of(samples: Samples, rows: Rows) -> Samples:
    """Return some of the samples; where each of their groups has one sample left, without groups."""
    part = samples.take(rows)
    alone = part.groups is not None and len(np.unique(part.groups)) == len(part)
    return part.ungrouped() if alone else part


def target_on(target: Target, rows: Rows, samples: int) -> Target:
    """Return the target among `rows` of the samples; `UserError` for one that needs all of them."""
    tables = [name for name, each in target.versions.items() if isinstance(each.source, Evidence)]
    require(not tables, f"a search divides the samples, and {tables[:1]} is a table of losses of all of them")
    whole = target.forget is None and target.secrets is None
    require(whole, "a search knows nothing of what was to be forgotten, or of secrets", hint="audit its result")
    place = np.full(samples, -1)
    place[rows] = np.arange(len(rows))
    members, others = (place[each] for each in (target.members, target.non_members))
    return replace(target, members=members[members >= 0], non_members=others[others >= 0])


def chosen(front: Sequence[Tried], options: SearchOptions) -> list[Tried]:
    """Return as many of the front as are confirmed: by turns the best by what is preferred, and by the others.

    Every second one is of what is preferred, so that a candidate which was lucky has others beside it.
    """
    orders = {
        "exposure": sorted(front, key=lambda each: each.judged.exposure.value),
        "utility": sorted(front, key=lambda each: -each.judged.utility.value),
        "bits": sorted(front, key=lambda each: each.judged.bits),
    }
    first = orders.pop(options.prefer)
    turns = [order for other in orders.values() for order in (first, other)]
    picked = list[Tried]()
    while len(picked) < min(options.confirm, len(front)):
        order = turns[len(picked) % len(turns)]
        picked.append(next(each for each in order if each not in picked))
    return picked


def confirmed(
    result: AuditResult,
    out: Path,
    limits: tuple[Limit, ...],
    policy: Policy | None,
    searched: Mapping[str, Judged],
    front: Sequence[str],
) -> tuple[list[Confirmed], dict[str, LossTable]]:
    """Return every version of the audit beside what the search said of it, and the tables of the audit."""
    document = result.document
    tables = {each.name: read_table(out / each.table, each.name, "models") for each in document.versions}
    again = Judge(tables[FULL_PRECISION], limits, document.config.level, document.config.seed)
    refused, entries = _refused(result, policy), list[Confirmed]()
    for record in document.versions:
        worth = again.judged(tables[record.name])
        before = searched.get(record.name)
        entries.append(
            Confirmed(
                quantizer=record.name,
                searched=None if before is None else as_worth(before),
                again=as_worth(worth),
                attacker=record[ATTACK_ACCURACY],
                missed=list(dict.fromkeys([*_missed(worth, policy), *refused.get(record.name, [])])),
                of_front=record.name in front,
            )
        )
    return entries, tables


def _missed(worth: Judged, policy: Policy | None) -> list[str]:
    """Return the limits that are missed by value; of a policy's own the gate says more."""
    own = {} if policy is None else policy.limits.model_dump(exclude_none=True)
    return [f"{key}, by {short:.3g}" for key, short in worth.shortfalls.items() if short > 0 and key not in own]


def _refused(result: AuditResult, policy: Policy | None) -> dict[str, list[str]]:
    """Return which limits of a policy the gate finds exceeded, by version."""
    refused = dict[str, list[str]]()
    if policy is not None:
        judgement = judge(result.document, policy.model_copy(update={"version": None}), datetime.now(UTC))
        for each in judgement.exceeded:
            if each.version is not None:
                refused.setdefault(each.version, []).append(f"{each.limit}: {each.sentence}")
    return refused


def winner_of(entries: Sequence[Confirmed], prefer: str) -> Confirmed | None:
    """Return the best of the versions that keep every limit, full precision aside; None where none does."""
    good = [each for each in entries if not each.missed and each.quantizer != FULL_PRECISION]
    keys: dict[str, Callable[[Confirmed], float]] = {
        "exposure": advantage_of,
        "utility": _lost_utility,
        "bits": _bits,
    }
    return min(good, key=keys[prefer], default=None)


def _lost_utility(entry: Confirmed) -> float:
    return -entry.again.utility.value


def _bits(entry: Confirmed) -> float:
    return entry.again.bits


def advantage_of(entry: Confirmed) -> float:
    """Return the advantage of the strongest attack with other models, or else the one that is predicted."""
    return 2 * entry.attacker.value - 1 if isinstance(entry.attacker, Estimate) else entry.again.exposure.value


def compared(
    winner: Confirmed, entries: Sequence[Confirmed], tables: Mapping[str, LossTable], prefer: str, level: float
) -> Comparison | None:
    """Return the winner against the best version within the limits that the search did not propose.

    None where there is no such version, and where the winner is one itself.
    """
    plain = [each for each in entries if not each.of_front and each.quantizer != winner.quantizer]
    rival = winner_of(plain, prefer)
    if rival is None or not winner.of_front:
        return None
    first, second = tables[winner.quantizer], tables[rival.quantizer]
    one, other = (PairedReplicates().area(each.audited) for each in (first, second))
    apart, _ = difference(one, other, pair_id(first.audited.member), level, first.audited_groups)
    return Comparison(
        rival=rival.quantizer,
        advantage_less=1 - advantage_of(winner) / max(advantage_of(rival), 1e-9),
        exposure=apart,
        utility=utility_difference(first, second, level),
    )


def utility_difference(first: LossTable, second: LossTable, level: float) -> Estimate:
    """Return the utility of `first` less that of `second`, paired over models and samples."""
    one, other = first.held_out_utility, second.held_out_utility
    assert one is not None  # noqa: S101 for the type checker: a search measures utility
    assert other is not None  # noqa: S101
    values = one.astype(np.float64), other.astype(np.float64)
    return average_difference(*values, first.evidence.member, level, first.held_out_weight, first.held_out_groups)


def as_worth(judged: Judged) -> Worth:
    """Return what is written of a candidate."""
    missed = {key: each for key, each in judged.shortfalls.items() if each > 0}
    return Worth(
        exposure=judged.exposure, utility=judged.utility, change=judged.change, bits=judged.bits, missed=missed
    )


def nearest(tried: Sequence[Tried], limits: Sequence[Limit]) -> Tried:
    """Return the candidate that misses the fewest limits, and these by the least of what they ask."""
    asked = {each.key: abs(each.threshold) or 1.0 for each in limits}

    def distance(each: Tried) -> tuple[int, float]:
        short = {key: miss for key, miss in each.judged.shortfalls.items() if miss > 0}
        return len(short), sum(miss / asked[key] for key, miss in short.items())

    return min(tried, key=distance)
