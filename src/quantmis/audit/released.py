"""Which versions are released together, by the names that the audit gives them, before anything is spent."""

from collections.abc import Sequence

from quantmis.audit.settings import Settings
from quantmis.audit.target.target import Target
from quantmis.errors import require
from quantmis.gate.names import same_name
from quantmis.registry import suggestion


def released(
    sets: Sequence[Sequence[str]] | None, settings: Settings, target: Target | None
) -> tuple[tuple[str, ...], ...] | None:
    """Return the release sets asked for; `UserError` for a version that is not audited, and for one named twice.

    A set is of one subject: of versions that the models of the audit go through, or of versions of the target.
    """
    if sets is None:
        return None
    return released_of(sets, _names(settings, target))


def released_of(sets: Sequence[Sequence[str]], subjects: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the release sets asked for, by the names of the versions of each of the `subjects`."""
    return tuple(_release_set(each, subjects) for each in sets)


def _names(settings: Settings, target: Target | None) -> list[list[str]]:
    """Return the names of the versions of each subject of the audit."""
    trained = [settings.quantizer_names] if settings.models else []
    if target is None:
        return trained
    names = [target.called(name) for name in settings.quantizer_names[1:]]
    return [*trained, [target.baseline, *names, *target.versions]]


def _release_set(spellings: Sequence[str], subjects: Sequence[Sequence[str]]) -> tuple[str, ...]:
    every = list(dict.fromkeys(name for names in subjects for name in names))
    versions = list[str]()
    for each in spellings:
        matches = [name for name in every if same_name(name, each)]
        require(matches, f"release: the audit has no version {each!r}", hint=suggestion(each, every))
        require(
            matches[0] not in versions,
            f"release: {matches[0]} is named twice in one set",
            hint="name each version once",
        )
        versions.append(matches[0])
    together = any(set(versions) <= set(names) for names in subjects)
    hint = "a set is of versions of one model: of the target, or of the models that the audit trains"
    require(together, f"release: {' and '.join(versions)} are not versions of the same models", hint=hint)
    return tuple(versions)
