"""Which versions are released together, by the names that the audit gives them, before anything is spent."""

from collections.abc import Sequence

from quantmis.audit.settings import Settings
from quantmis.audit.target.target import Target
from quantmis.errors import require
from quantmis.gate.names import same_name
from quantmis.registry import suggestion


def released(
    asked: Sequence[Sequence[str]] | None, settings: Settings, target: Target | None
) -> tuple[tuple[str, ...], ...] | None:
    """Return the release sets asked for; `UserError` for a version that is not audited, and for one named twice.

    A set is of one subject: of versions that the models of the audit go through, or of versions of the target.
    """
    if asked is None:
        return None
    subjects = _names(settings, target)
    return tuple(_known(each, subjects) for each in asked)


def _names(settings: Settings, target: Target | None) -> list[list[str]]:
    """Return the names of the versions of each subject of the audit."""
    trained = [settings.quantizer_names] if settings.models else []
    if target is None:
        return trained
    made = [target.called(name) for name in settings.quantizer_names[1:]]
    return [*trained, [target.baseline, *made, *target.versions]]


def _known(asked: Sequence[str], subjects: Sequence[Sequence[str]]) -> tuple[str, ...]:
    every = list(dict.fromkeys(name for names in subjects for name in names))
    found = list[str]()
    for each in asked:
        known = [name for name in every if same_name(name, each)]
        require(known, f"release: the audit has no version {each!r}", hint=suggestion(each, every))
        require(known[0] not in found, f"release: {known[0]} is named twice in one set", hint="name each version once")
        found.append(known[0])
    together = any(set(found) <= set(names) for names in subjects)
    hint = "a set is of versions of one model: of the target, or of the models that the audit trains"
    require(together, f"release: {' and '.join(found)} are not versions of the same models", hint=hint)
    return tuple(found)
