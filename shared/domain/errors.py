"""What can go wrong, split by what the caller must do.

    MusterError                  cause and fix in words; never a secret
    |-- Rejected                 change the request (an HTTP 4xx)
    |   |-- Invalid              400, names each field
    |   |-- Unauthenticated      401
    |   |-- Forbidden            403
    |   |-- NotFound             404
    |   |-- Conflict             409
    |   |-- TooLarge             413
    |   `-- TooMany              429, `after` seconds
    |-- TryLater                 the same again, later (503, `after` seconds)
    |   |-- Limited              a neighbour answered 429: wait exactly `after` seconds
    |   |-- Unreachable          a neighbour is down, slow or talks nonsense: counts for its breaker
    |   `-- Outpaced             another writer was faster: read again and decide again
    `-- Abandoned                nobody but a person can mend it (recorded, answered 200, alerted)
        |-- Refused              a neighbour says no, whoever asks again
        `-- Misconfigured        settings are missing or malformed; names them, never their values

Adapters raise these and nothing else; the HTTP status is decided in `functions/http.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence


class MusterError(Exception):
    """`cause`: what happened, in words. `fix`: what the reader can do about it."""

    status = 500
    title = "Muster failed"

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


class Rejected(MusterError):
    status = 400
    title = "The request was rejected"


class Invalid(Rejected):
    """`errors`: (field, message) pairs; the message says what is expected."""

    title = "Some fields are not valid"

    def __init__(self, cause: str, errors: Sequence[tuple[str, str]] = (), fix: str = "") -> None:
        super().__init__(cause, fix)
        self.errors = tuple(errors)

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        """The usual case: one field, one reason."""
        return cls(f"{name}: {message}", [(name, message)])


class Unauthenticated(Rejected):
    status = 401
    title = "Credentials are missing or not valid"


class Forbidden(Rejected):
    status = 403
    title = "Not allowed"


class NotFound(Rejected):
    status = 404
    title = "Not found"


class Conflict(Rejected):
    status = 409
    title = "In conflict with what is there"


class TooLarge(Rejected):
    status = 413
    title = "The body is too large"


class TooMany(Rejected):
    status = 429
    title = "Too many requests"

    def __init__(self, cause: str, after: float, fix: str = "") -> None:
        super().__init__(cause, fix)
        self.after = after


class TryLater(MusterError):
    """A passing fault. `after`: seconds to wait, None when nobody said."""

    status = 503
    title = "Not possible just now"

    def __init__(self, cause: str, fix: str = "", after: float | None = None) -> None:
        super().__init__(cause, fix)
        self.after = after


class Limited(TryLater):
    """A neighbour's rate limiter: asking sooner than `after` seconds only costs an attempt."""

    def __init__(self, cause: str, after: float, fix: str = "") -> None:
        super().__init__(cause, fix, after)
        self.after: float = after


class Unreachable(TryLater):
    """No usable answer. `neighbour`: "matrix", "authentik", "firestore", "tasks", "secrets", "mail" or
    "assistant"."""

    def __init__(self, neighbour: str, cause: str, fix: str = "") -> None:
        super().__init__(cause, fix)
        self.neighbour = neighbour


class Outpaced(TryLater):
    """A precondition of a write did not hold. `path`: the document, where the store tells."""

    def __init__(self, path: str = "") -> None:
        super().__init__(f"another writer was faster{f' on {path}' if path else ''}", after=1)
        self.path = path


class Abandoned(MusterError):
    status = 502
    title = "A neighbour will not do this"


class Refused(Abandoned):
    """`code`: the neighbour's own, such as M_FORBIDDEN, or its HTTP status as text."""

    def __init__(self, cause: str, fix: str = "", code: str = "") -> None:
        super().__init__(cause, fix)
        self.code = code


class Misconfigured(Abandoned):
    status = 503
    title = "Settings are missing or malformed"
