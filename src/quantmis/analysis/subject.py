"""The two sides of an audit: the models that it trained (*this procedure*), and the one it was given (*this model*).

Both are lists of loss tables, full precision first, and are measured by the same functions. They differ in who the
attacker's own models are: for the trained models each other, for the target the trained models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantmis.analysis import ranking as comparison
from quantmis.analysis.versions import References, Scored, describe, score
from quantmis.audit.options import Settings
from quantmis.tables.loss_table import Table
from quantmis.results import VersionResult, Ranking


@dataclass(frozen=True, eq=False)
class Side:
    """Hold the tables of one side and what was measured on each, in one order."""

    tables: Sequence[Table] = ()
    scored: Sequence[Scored] = ()
    described: Sequence[VersionResult] = ()

    def ranking(self, level: float) -> Ranking:
        """Return its quantizers from the one that gives away least."""
        distortion = {each.name: each.distortion for each in self.described}
        return comparison.ranking(self.scored, distortion, level)


def measure(
    tables: Sequence[Table],
    references: Callable[[Table], References],
    settings: Settings,
    ids: np.ndarray | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> Side:
    """Attack every table and describe what came of it; `references` gives the attacker's own models for each."""
    scored, described = list[Scored](), list[VersionResult]()
    for table in tables:
        scored.append(score(table, references(table), settings))
        described.append(describe(scored[-1], scored[0], settings, ids))
        tick(1)
    return Side(tables, scored, described)


def each_other(tables: Sequence[Table]) -> Callable[[Table], References]:
    """Return, for trained models, the other rows of their own table, and full precision for transfer."""

    def references(table: Table) -> References:
        return References(None, None if table is tables[0] else tables[0].audited)

    return references
