"""Loss tables read back from the files of an audit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from quantmis.data.archives import read_archive
from quantmis.data.secret_scores import secrets_in
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.tables.certified import certified_in
from quantmis.tables.forgetting import forgetting_in
from quantmis.tables.loss_table import EXTRACTED, NAMED, LossTable, beginning
from quantmis.tables.traits import VersionTraits


class Damaged(Exception):  # noqa: N818 it says what the table is
    """Say why a file is not the table that an audit wrote."""


def read_table(path: Path, name: str, about: Literal["models", "target"]) -> LossTable:
    """Return the table of the quantizer `name`; `Damaged` for another file, `UserError` where there is none."""
    hint = "verify needs the whole folder of the audit, with its tables"
    require(path.exists(), f"there is no table {path}", hint=hint)
    try:
        return _table(read_archive(path, "the table"), name, about)
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, UserError) as error:
        raise Damaged(f"cannot be read as a table ({type(error).__name__}: {str(error)[:120]})") from error


def _table(arrays: Mapping[str, np.ndarray], name: str, about: Literal["models", "target"]) -> LossTable:
    return LossTable(
        name=name,
        evidence=Evidence(
            losses=arrays["losses"],
            member=arrays["member"],
            signal=arrays.get("signal"),
            entropy=arrays.get("entropy"),
            label=arrays.get("label"),
            named=beginning(NAMED, arrays),
            groups=arrays.get("groups"),
        ),
        per_sample_utility=arrays.get("per_sample_utility"),
        earlier=arrays.get("earlier"),
        metric=str(arrays["metric"]),
        traits=_traits(arrays),
        is_audited=arrays["is_audited"],
        is_held_out=arrays["is_held_out"],
        about=about,
        weight=arrays.get("weight"),
        repeats=arrays.get("repeats"),
        extracted=beginning(EXTRACTED, arrays),
        origin=_origin(arrays),
        forgetting=forgetting_in(arrays),
        secrets=secrets_in(arrays),
        perturbed=arrays.get("perturbed"),
        certified=certified_in(str(arrays["certified"])) if "certified" in arrays else None,
        is_fitted=arrays.get("is_fitted"),
    )


def _origin(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    words: dict[str, str] = json.loads(str(arrays["origin"])) if "origin" in arrays else {}
    return {str(name): str(value) for name, value in words.items()}


def _traits(arrays: Mapping[str, np.ndarray]) -> tuple[VersionTraits, ...]:
    columns = (arrays["fingerprint"], arrays["bits_per_weight"], arrays["sparsity"], arrays["weights"])
    untouched: list[list[str]] = json.loads(str(arrays["untouched"]))
    return tuple(
        VersionTraits(str(fingerprint), _or_none(bits), _or_none(sparsity), _whole(weights), names)
        for fingerprint, bits, sparsity, weights, names in zip(*columns, untouched, strict=True)
    )


def _or_none(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _whole(number: float) -> int | None:
    return None if np.isnan(number) else int(number)
