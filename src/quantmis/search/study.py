"""The search itself: Optuna's sampler proposes, the trained pairs answer, and the journal remembers.

**The same search after any interruption.** A sampler of Optuna forgets its random state when a process ends, so each
candidate has a sampler of its own, seeded by the number of the candidate: what is proposed depends on the candidates
before it alone. These are kept in Optuna's journal, each as one line once it is measured, so none is there by half.
The journal is written by one process at a time, which the lock of the folder sees to.
"""

import json
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quantmis import seeds
from quantmis.errors import UserError, require
from quantmis.files import content_of, write_atomically
from quantmis.quantizers import Quantizer
from quantmis.quantizers.base import importable
from quantmis.registry import spelling
from quantmis.search.judging import Judged
from quantmis.search.space import Space
from quantmis.stats import Estimate

FORMAT = "quantmis search 1"
"""What the names of searches in a journal begin with."""

JOURNAL = "journal.log"
DIRECTIONS = ("minimize", "maximize", "minimize")
RANDOM_FIRST = 20
"""Candidates before the sampler learns from those that were measured; those of one version for all layers count."""


ATTEMPTS, LEARNED = 12, 3
"""Proposals for one candidate at most, where they bring nothing new; of these so many by what was learnt."""


@dataclass(frozen=True)
class Tried:
    """Hold a candidate that was measured: its place in the search, how it is written, and what it is worth."""

    number: int
    quantizer: str
    judged: Judged


def library() -> Any:
    """Return Optuna; `UserError` where it is not installed."""
    hint = "pip install 'quantmis[search]'"
    require(importable("optuna"), "a search needs optuna, which is not installed", hint=hint)
    import optuna

    return optuna


class Search:
    """Hold one search: what was tried, in the journal of `folder` and here; `name` is the hash of all it depends on."""

    def __init__(self, folder: Path, name: str, space: Space, seed: int, starts: Sequence[Mapping[str, Any]]):
        self._optuna, self._space, self._seed = library(), space, seed
        with _quietly(self._optuna):
            self._record = _opened(self._optuna, folder / JOURNAL, name)
            self._study = self._optuna.create_study(directions=DIRECTIONS)
            earlier = self._record.trials
            self._study.add_trials(earlier)
        self.tried = [_tried(trial) for trial in earlier]
        self._starts = starts
        self._known = {each.quantizer: each.judged for each in self.tried}

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left that was not tried."""
        return len(self._known) >= self._space.size

    def step(self, judged: Callable[[Quantizer], Judged]) -> Tried:
        """Try one more candidate and write it down."""
        number = len(self.tried)
        with _quietly(self._optuna):
            trial, quantizer = self._proposed(number)
            name = spelling(quantizer)
            worth = self._known[name] if name in self._known else judged(quantizer)
            self._tell(trial, name, worth)
        self._known[name] = worth
        self.tried.append(Tried(number, name, worth))
        return self.tried[-1]

    def _proposed(self, number: int) -> tuple[Any, Quantizer]:
        """Return what is tried next: something new, where a few proposals bring it."""
        if number < len(self._starts):
            self._study.enqueue_trial(dict(self._starts[number]))
        for attempt in range(ATTEMPTS):
            self._study.sampler = self._sampler(number, attempt)
            trial = self._study.ask()
            quantizer = self._space.quantizer(self._space.suggested(trial))
            if spelling(quantizer) not in self._known or attempt == ATTEMPTS - 1:
                return trial, quantizer
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # which no sampler learns from
        raise AssertionError("a proposal was returned")

    def _tell(self, trial: Any, name: str, worth: Judged) -> None:
        for key, shortfall in worth.shortfalls.items():
            trial.set_constraint(key, shortfall)
        trial.set_user_attr("quantizer", name)
        trial.set_user_attr("judged", asdict(worth))
        self._record.add_trial(self._study.tell(trial, worth.objectives))

    def _sampler(self, number: int, attempt: int) -> Any:
        """Return what proposes: it learns from what was tried, and draws at random once it only repeats that."""
        seed, samplers = seeds.integer(self._seed, "search", number, attempt) % 2**32, self._optuna.samplers
        if attempt >= LEARNED:
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_FIRST, multivariate=True, constant_liar=False)

    def front(self) -> list[Tried]:
        """Return the candidates within all limits that no other beats in exposure, utility and bits.

        Of those that are worth just the same, as with groups that are larger than a row, the first stands for all.
        """
        with _quietly(self._optuna):
            names = {trial.user_attrs["quantizer"] for trial in self._study.best_trials}
        best = [each for each in self.tried if each.quantizer in names]
        once = {each.judged.objectives: each for each in reversed(best)}
        return sorted((each for each in once.values() if each.judged.is_within), key=lambda each: each.number)


def _tried(trial: Any) -> Tried:
    worth: dict[str, Any] = trial.user_attrs["judged"]
    numbers = {name: Estimate(**worth[name]) for name in ("exposure", "utility", "change")}
    return Tried(
        trial.number,
        trial.user_attrs["quantizer"],
        Judged(**numbers, bits=worth["bits"], shortfalls=worth["shortfalls"]),
    )


def _opened(optuna: Any, path: Path, name: str) -> Any:
    """Return the study of that name in the journal at `path`, a new one where there is none.

    Raises `UserError` for a journal that is damaged, or of another version.
    """
    _mend(path)
    journal, hint = optuna.storages.journal, f"remove {path}: nothing is trained again, and the search begins anew"
    try:
        storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=Held()))
        others = [each.study_name for each in storage.get_all_studies() if not each.study_name.startswith(FORMAT)]
        require(not others, f"{path} was written by another version of quantmis", hint=hint)
        named, directions = f"{FORMAT} {name}", list(DIRECTIONS)
        study = optuna.create_study(storage=storage, study_name=named, directions=directions, load_if_exists=True)
        _ = [_tried(each) for each in study.trials]
    except UserError:
        raise
    except Exception as error:  # whatever Optuna makes of lines that it did not write
        raise UserError(f"{path} is damaged: {type(error).__name__}: {error}", hint=hint) from error
    return study


def _mend(path: Path) -> None:
    """Remove a last line that was cut off while it was written: Optuna could read nothing behind it."""
    require(not path.is_symlink(), f"{path} is a link", hint="remove it: writing into it would change another place")
    content = content_of(path) if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if not path.exists() or whole != content:
        write_atomically(path, whole)


class Held:
    """Lock nothing: the folder is locked, and a lock of Optuna's would outlive a killed process."""

    def acquire(self) -> bool:
        """Say that the journal is this process's."""
        return True

    def release(self) -> None:
        """Do nothing."""


@contextmanager
def _quietly(optuna: Any) -> Generator[None]:
    """Silence Optuna while it works: what it says goes to people who wrote an objective for it."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def describe(*parts: Any) -> str:
    """Return what parts are as text that their hash is made of."""
    return json.dumps(parts, sort_keys=True, default=str)
