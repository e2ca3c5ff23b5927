"""What an inspection says: what a file is, which tool wrote it, its layers, and what an audit makes of it."""

from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """Hold what a head says of a quantized layer.

    `weights`: how many there are, None where the head alone does not tell; `bits` of a weight's code; `group`: weights
    that share a scale, None for all of them; `scales` and `zero_points`: their type and shape in words, empty where
    there are none.
    """

    name: str
    weights: int | None
    bits: float | None
    group: int | None
    scales: str
    zero_points: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Plain:
    """Hold a tensor that is not quantized: its name, type and shape."""

    name: str
    kind: str
    shape: Shape


@dataclass(frozen=True)
class Inspection:
    """Hold what a file or folder is.

    `looks_like`: what it is in words. `format`: the name of a format that is read, None for another; `tool`: which
    wrote it, as far as it says; `files` with their sizes in bytes; `digest` of all of them. `is_read`: whether an audit
    reads it; `is_exact`: whether it then computes all that the file says; `why` explains either. `nearest`: a format
    that is read, where this one is not.
    """

    path: str
    looks_like: str
    format: str | None = None
    tool: str = ""
    files: tuple[tuple[str, int], ...] = ()
    digest: str = ""
    layers: tuple[Layer, ...] = ()
    unquantized: tuple[Plain, ...] = ()
    words: dict[str, str] = field(default_factory=dict[str, str])
    is_read: bool = False
    is_exact: bool = False
    why: str = ""
    nearest: str = ""
