"""The one exception that is the user's to mend; every other exception is a bug of ours and shows a traceback."""


class UserError(Exception):
    """Say what was expected and what arrived, with the remedy as `hint`; printed without a traceback.

    >>> error = UserError("expected 64 features, got 63", hint="drop the index column")
    >>> str(error), error.hint
    ('expected 64 features, got 63', 'drop the index column')
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.hint = hint

    def __reduce__(self):
        return type(self), (str(self), self.hint)  # so that it arrives whole from another process


def require(condition: object, message: str, hint: str | None = None) -> None:
    """Raise `UserError(message, hint)` unless `condition` holds."""
    if not condition:
        raise UserError(message, hint)
