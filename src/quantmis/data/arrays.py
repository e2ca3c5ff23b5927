"""Samples in an `.npz` file of arrays."""

from collections.abc import Sequence
from pathlib import Path

from quantmis.data.archives import names_in, read_archive
from quantmis.data.samples import Samples
from quantmis.errors import require
from quantmis.registry import suggestion


def read_npz(
    path: Path,
    key: str,
    x: Sequence[str] = ("x",),
    y: str = "y",
    ids: str | None = None,
    groups: str | None = None,
    memory: float | None = None,
) -> Samples:
    """Return the samples whose inputs, targets, ids and groups stand in the named arrays of a file.

    Several inputs are those that a model's forward takes by these names.

    Raises `UserError` for a missing array, for pickled objects, which are not opened, and for more than `memory` GiB.
    """
    names = [name for name in (*x, y, ids, groups) if name]
    arrays = read_archive(path, key, names, memory)
    missing = [name for name in names if name not in arrays]
    if missing:
        all_names = names_in(path, key)
        named = f'or name arrays: features = ["{all_names[0]}"], target = "..."'
        hint = f"{suggestion(missing[0], all_names)}; np.savez(path, x=x, y=y), {named}"
        require(False, f"{key}: {path.name} holds {', '.join(all_names)}, not {missing[:1]}", hint=hint)
    inputs = arrays[x[0]] if len(x) == 1 else {name: arrays[name] for name in x}
    return Samples(inputs, arrays[y], ids=arrays[ids] if ids else None, groups=arrays[groups] if groups else None)
