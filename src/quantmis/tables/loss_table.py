"""The loss tables of an audit, put together from the groups that were computed.

There is one table per quantizer, over the same models and the same samples. Its columns are all the samples of the
audit. Attacks are tried on those that some models were trained on and others not (`is_audited`); the indicator and the
utility are measured on those that no model was trained on (`is_held_out`).
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.data.secret_scores import SecretScores
from quantmis.evidence import Evidence, where_any_is_shared
from quantmis.files import private_folder, write_atomically
from quantmis.tables.certified import Certified
from quantmis.tables.forgetting import Forgetting
from quantmis.tables.traits import VersionTraits
from quantmis.tensor_files import entry

LONGEST = 60
NAMED = "named/"
"""What the names of arrays begin with that are further signals, as `named/min_k`."""

EXTRACTED = "extracted/"
"""What the names of arrays begin with that say which canaries a language model says by heart."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Hold what the indicator compares: losses [candidates, held-out samples], and the training each came from."""

    losses: Float[np.ndarray, "candidates samples"]
    replicate: Int[np.ndarray, " candidates"]


@dataclass(frozen=True, eq=False)
class LossTable:
    """Hold one quantizer's loss table over all samples, what predictions are worth, and the traits of each model.

    `is_audited` and `is_held_out` mark the columns of the two uses; the canaries, which only their control reads, and
    columns that a version was fitted to are in neither. `earlier` holds the losses of the replicates' checkpoints on
    held-out samples, a replicate's in one piece. `about` is "models" for the models of an audit, "target" for the one
    that was given. `weight`: how much each sample counts in the utility, None for all alike. Where canaries are texts,
    `repeats` says how often each sample stands in the training sets that it is in, and `extracted` which of the
    canaries that models were trained on each model says by heart, "greedy" and "sampled", [models, canaries]. `origin`
    says of a version of the target where it came from: the "name" of the model, the SHA-256 of its "file", the
    quantizer that it is "like", or an empty text. `forgetting`: what the model was made to forget, None where that is
    not asked. `secrets`: what it gives away of secrets that were named, None where none were or nothing shows it.
    `is_fitted` marks columns that versions were fitted to, on which nothing is measured; None where none was.
    `perturbed`: the signals of copies of the first models with noise on their weights, put through the same quantizer.
    `certified`: what their training guarantees, None where it guarantees nothing.
    """

    name: str
    evidence: Evidence
    per_sample_utility: Float[np.ndarray, "models samples"] | None
    earlier: Float[np.ndarray, "candidates held_out"] | None
    metric: str
    traits: tuple[VersionTraits, ...]
    is_audited: Bool[np.ndarray, " samples"]
    is_held_out: Bool[np.ndarray, " samples"]
    about: Literal["models", "target"] = "models"
    weight: Float[np.ndarray, " samples"] | None = None
    repeats: Int[np.ndarray, " samples"] | None = None
    extracted: Mapping[str, Bool[np.ndarray, "models canaries"]] = field(default_factory=dict[str, np.ndarray])
    origin: Mapping[str, str] = field(default_factory=dict[str, str])
    forgetting: Forgetting | None = None
    secrets: SecretScores | None = None
    perturbed: Float[np.ndarray, "copies samples"] | None = None
    certified: Certified | None = None
    is_fitted: Bool[np.ndarray, " samples"] | None = None

    @property
    def path(self) -> str:
        """Where the table is saved, relative to results.json."""
        folder = "tables" if self.about == "models" else "tables/target"
        return f"{folder}/{slug(self.name)}.npz"

    @property
    def audited(self) -> Evidence:
        """The columns where attacks are tried."""
        return self.evidence.columns(self.is_audited)

    @property
    def audited_groups(self) -> Shaped[np.ndarray, " audited"] | None:
        """Which samples belong together where attacks are tried; None where each is by itself."""
        return self._groups_of(self.is_audited)

    @property
    def held_out_groups(self) -> Shaped[np.ndarray, " held_out"] | None:
        """Which samples that no model was trained on belong together; None where each is by itself."""
        return self._groups_of(self.is_held_out)

    @property
    def groups(self) -> Shaped[np.ndarray, " samples"] | None:
        """Which samples belong together; None where each is by itself."""
        return self.evidence.groups

    def _groups_of(self, columns: Bool[np.ndarray, " samples"]) -> Shaped[np.ndarray, " chosen"] | None:
        groups = self.evidence.groups
        return None if groups is None else where_any_is_shared(groups[columns])

    @property
    def canaries(self) -> Evidence:
        """The columns of the canaries that models were trained on."""
        return self.evidence.columns(self.is_canary & np.any(self.evidence.member, axis=0))

    @property
    def is_canary(self) -> Bool[np.ndarray, " samples"]:
        """The columns of the canaries and, among texts, of those like them that no model was trained on."""
        unused = ~self.is_audited & ~self.is_held_out
        return unused if self.is_fitted is None else unused & ~self.is_fitted

    @property
    def held_out(self) -> Evidence:
        """The columns that no model was trained on: where the indicator and the utility are measured."""
        return self.evidence.columns(self.is_held_out)

    @property
    def held_out_utility(self) -> Float[np.ndarray, "models samples"] | None:
        """What predictions on held-out samples are worth, where that is known."""
        return None if self.per_sample_utility is None else self.per_sample_utility[:, self.is_held_out]

    @property
    def held_out_weight(self) -> Float[np.ndarray, " held_out"] | None:
        """How much each held-out sample counts in the utility; None for all alike."""
        return None if self.weight is None else self.weight[self.is_held_out]

    def candidates(self, replicates: int) -> Candidates:
        """Return the held-out losses of the first `replicates` models, at their end and at their checkpoints."""
        losses, replicate = self.held_out.losses[:replicates], np.arange(replicates)
        if self.earlier is not None:
            losses = np.concatenate([losses, self.earlier])
            replicate = np.concatenate([replicate, np.repeat(replicate, len(self.earlier) // replicates)])
        return Candidates(losses.astype(np.float64), replicate)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what is saved of the table, by name; a quantity that the task does not have is absent."""
        evidence = self.evidence
        arrays = {
            "losses": evidence.losses,
            "member": evidence.member,
            "signal": evidence.signal,
            "entropy": evidence.entropy,
            "label": evidence.label,
            "per_sample_utility": self.per_sample_utility,
            "earlier": self.earlier,
            "perturbed": self.perturbed,
            "is_audited": self.is_audited,
            "is_held_out": self.is_held_out,
            "is_fitted": self.is_fitted,
            "fingerprint": np.array([traits.fingerprint for traits in self.traits]),
            "bits_per_weight": _numbers([traits.bits_per_weight for traits in self.traits]),
            "sparsity": _numbers([traits.sparsity for traits in self.traits]),
            "weights": _numbers([traits.weights for traits in self.traits]),
            "untouched": np.array(json.dumps([traits.untouched for traits in self.traits])),
            "metric": np.array(self.metric),
            "weight": self.weight,
            "repeats": self.repeats,
            "origin": np.array(json.dumps(dict(self.origin), sort_keys=True)) if self.origin else None,
            "groups": evidence.groups,
            "certified": None if self.certified is None else np.array(self.certified.as_text()),
        }
        arrays |= {f"{NAMED}{name}": signal for name, signal in evidence.named.items()}
        arrays |= {f"{EXTRACTED}{decoding}": hits for decoding, hits in self.extracted.items()}
        arrays |= {} if self.forgetting is None else self.forgetting.arrays()
        arrays |= {} if self.secrets is None else self.secrets.arrays()
        return {name: array for name, array in arrays.items() if array is not None}

    def digest(self) -> str:
        """Return the SHA-256 of the saved arrays, in hexadecimal."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(entry(name, array.dtype.str, array.shape, array.nbytes))
            digest.update(array.tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write the table below `folder`, whole or not at all, as a NumPy archive without pickles."""
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **self.arrays())
        path = folder / self.path
        private_folder(path.parent)
        write_atomically(path, stream.getvalue())


def _numbers(traits: Sequence[float | None]) -> Float[np.ndarray, " models"]:
    """Return numbers as an array, NaN for what is not known."""
    return np.array([np.nan if each is None else each for each in traits], dtype=np.float64)


def slug(name: str) -> str:
    """Return a short file name for a quantizer or version.

    >>> slug("ternary(sparsity=0.9)"), slug("../" * 100)[-4:]
    ('ternary_sparsity_0.9', 'be24')
    """
    plain = re.sub("[^a-z0-9.]+", "_", name.lower()).strip("_.")
    return plain if 0 < len(plain) <= LONGEST else f"{plain[:LONGEST]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def beginning(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
