"""Say on stderr how far a search is, what is best so far, and how long it will take."""

import sys
import time
from dataclasses import dataclass, field

from quantmis.errors import printable
from quantmis.search.study import Tried

LINE_EVERY_SECONDS = 5.0
SHOWN = 90


@dataclass
class Watch:
    """Follow a search of `total` candidates, from the first that is measured now; one line, renewed in a terminal."""

    total: int
    prefer: str
    show: bool
    best: Tried | None = None
    started: float = field(default_factory=time.monotonic)
    printed: float = 0.0
    counted: int = 0

    def heard(self, tried: Tried) -> None:
        """Take note of a candidate."""
        self.counted += 1
        if tried.judged.is_within and (self.best is None or self._value(tried) < self._value(self.best)):
            self.best = tried
        now = time.monotonic()
        if self.show and (now - self.printed > LINE_EVERY_SECONDS or tried.number + 1 == self.total):
            self.printed = now
            print(self.line(tried.number + 1, now), file=sys.stderr, flush=True)  # noqa: T201

    def line(self, done: int, now: float) -> str:
        """Return what is said after `done` candidates."""
        left = (now - self.started) / self.counted * (self.total - done)
        return f"search: {done} of {self.total}, about {left:.0f} s left; best so far: {self._words()}"

    def _value(self, tried: Tried) -> float:
        exposure, utility, bits = tried.judged.objectives
        return {"exposure": exposure, "utility": -utility, "bits": bits}[self.prefer]

    def _words(self) -> str:
        if self.best is None:
            return "none within the limits"
        exposure, utility, bits = self.best.judged.objectives
        name = printable(self.best.quantizer)
        short = name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
        return f"{short}, exposure {exposure:.3f}, utility {utility:.3f}, {bits:.2f} bits"
