"""Say on stderr how far an audit is and how long it will take: bars in a terminal, plain lines elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Tick = Callable[[int], None]
LINE_EVERY_SECONDS = 5.0
ENOUGH_TO_ESTIMATE = 0.02


class Stages(ABC):
    """Open the stages of an audit; each is told of the steps that it has done."""

    @abstractmethod
    def stage(self, name: str, total: int, expected: float | None = None, after: float = 0.0) -> Tick:
        """Start the stage `name` of `total` steps and return the function to call with each number of steps done.

        `expected`: about how many seconds it will take, where that was measured before; `after`: how many the stages
        that follow it will.
        """


@contextmanager
def shown_stages(show: bool) -> Generator[Stages]:
    """Yield stages that are drawn as bars where stderr is a terminal, as lines where not, and nowhere unless `show`."""
    if not show:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        with Progress(*_columns(), console=Console(stderr=True)) as bars:
            yield Bars(bars)


@dataclass(frozen=True)
class Silent(Stages):
    """Show nothing."""

    def stage(self, name: str, total: int, expected: float | None = None, after: float = 0.0) -> Tick:
        """Return a function that does nothing."""
        return lambda done: None


SILENT = Silent()


@dataclass(frozen=True)
class Bars(Stages):
    """Draw one bar per stage."""

    bars: Progress

    def stage(self, name: str, total: int, expected: float | None = None, after: float = 0.0) -> Tick:
        """Add a bar."""
        estimate = "" if expected is None else f", about {expected:.0f} s{_and_after(expected, after)}"
        task = self.bars.add_task(name + estimate, total=total)
        return lambda done: self.bars.advance(task, done)


@dataclass(frozen=True)
class Lines(Stages):
    """Print a line when a stage starts and ends, and every few seconds between."""

    def stage(self, name: str, total: int, expected: float | None = None, after: float = 0.0) -> Tick:
        """Return the function that counts and prints."""
        print(f"{name}: started{_rest(expected, after)}", file=sys.stderr, flush=True)  # noqa: T201
        return _Counter(name, total, expected, after)


@dataclass
class _Counter:
    name: str
    total: int
    expected: float | None = None
    after: float = 0.0
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)

    def __call__(self, steps: int) -> None:
        self.done += steps
        now = time.monotonic()
        if self.done >= self.total or now - self.printed > LINE_EVERY_SECONDS:
            self.printed = now
            print(self._line(now - self.started), file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, seconds: float) -> str:
        if self.done >= self.total:
            return f"{self.name}: done in {seconds:.1f} s"
        fraction = self.done / self.total
        rest = seconds / fraction - seconds if fraction >= ENOUGH_TO_ESTIMATE else None
        if rest is None and self.expected is not None:
            rest = max(self.expected - seconds, 0.0)
        return f"{self.name}: {fraction:.0%}{_rest(rest, self.after)}"


def _rest(seconds: float | None, after: float) -> str:
    return "" if seconds is None else f", about {seconds:.0f} s left of it{_and_after(seconds, after)}"


def _and_after(seconds: float, after: float) -> str:
    return f", {seconds + after:.0f} s of the audit" if after else ""


def _columns() -> tuple[TextColumn, BarColumn, TaskProgressColumn, TimeRemainingColumn]:
    text = TextColumn("{task.description:<22}")
    return text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True)
