"""What a document says of its attacks, in their authors' words."""

import inspect
from collections.abc import Iterable

from quantmis.attacks import Attack
from quantmis.registry import spelling
from quantmis.results import AttackDescription


def descriptions(attacks: Iterable[Attack]) -> dict[str, AttackDescription]:
    """Return what people read of each attack, by its name, and whether its success bounds security."""
    return {spelling(attack): _description(attack) for attack in attacks}


def _description(attack: Attack) -> AttackDescription:
    """Return the author's words, or the first sentence of the documentation."""
    first = (inspect.getdoc(type(attack)) or "").split("\n\n")[0].replace("\n", " ")
    return AttackDescription(description=attack.description or first, bounds_security=attack.bounds_security)
