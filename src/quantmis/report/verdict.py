"""The verdict in plain words, generated from numbers and intervals.

Each rule is a small function of the results that returns one sentence, or None where it has nothing to say. Two
things are never said: that a version gives nothing away, because an attack that fails proves nothing about a better
one; and that one version is better than another where the intervals do not tell them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from quantmis.report.cautions import (
    about_what,
    confounded,
    failed_controls,
    most_exposed,
    no_better_than_a_coin,
    no_control,
    reservation,
    unmeasured,
)
from quantmis.report.headline import gained, headline, nothing_gained, undecided, very_model
from quantmis.report.price import bargain, price
from quantmis.results import Results

Kind = Literal["alarm", "headline", "detail", "caution"]
Rule = Callable[[Results], str | None]


@dataclass(frozen=True)
class Sentence:
    """Hold one sentence of the verdict; `kind` says how loud it is, for pages that can show it."""

    kind: Kind
    text: str


def verdict(results: Results) -> list[Sentence]:
    """Return the sentences of the verdict in the order in which they should be read."""
    return [Sentence(kind, text) for kind, rule in RULES if (text := rule(results))]


RULES: tuple[tuple[Kind, Rule], ...] = (
    ("alarm", failed_controls),
    ("alarm", confounded),
    ("headline", headline),
    ("detail", gained),
    ("detail", nothing_gained),
    ("detail", undecided),
    ("detail", price),
    ("detail", bargain),
    ("detail", very_model),
    ("detail", most_exposed),
    ("detail", unmeasured),
    ("caution", about_what),
    ("caution", no_better_than_a_coin),
    ("caution", no_control),
    ("caution", reservation),
)
