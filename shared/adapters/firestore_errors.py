"""What Firestore's refusals mean for the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from shared.domain.errors import Limited, Misconfigured, MusterError, Refused, Unreachable

CONFLICTS: Final = (api.AlreadyExists, api.FailedPrecondition, api.NotFound, api.Aborted)
"""On a commit: a precondition did not hold, or the document was contended for."""

FAULTS: Final = (api.GoogleAPIError, GoogleAuthError, TimeoutError)
"""All that a call of the client may raise."""

_PERMISSION = "Grant the service account of the function the role roles/datastore.user in this project."
_DATABASE = "Create the Firestore database of this project (native mode), or correct FIRESTORE_DATABASE."
_INDEX = "Deploy the indexes of infra/terraform and wait until they are built."
_NETWORK = "See whether Firestore is up and reachable from here; nothing was lost, the work is tried again."

_TABLE: Final[list[tuple[tuple[type[Exception], ...], Callable[[], MusterError]]]] = [
    ((api.PermissionDenied, api.Unauthenticated), lambda: _refused("does not let us in", _PERMISSION, "403")),
    ((api.NotFound,), lambda: _refused("has no such project or database", _DATABASE, "404")),
    ((api.FailedPrecondition,), lambda: _refused("needs an index for this query", _INDEX, "FAILED_PRECONDITION")),
    ((api.InvalidArgument, api.OutOfRange), lambda: _refused("does not take this document or query", "", "400")),
    ((api.ResourceExhausted,), lambda: Limited("Firestore's quota is used up", after=10)),
    ((DefaultCredentialsError,), lambda: Misconfigured("no Google credentials were found", _PERMISSION)),
]


def translated(error: Exception) -> MusterError:
    """The vendor's words stay in the chained exception: they hold addresses and document names."""
    cause = error.cause if isinstance(error, api.RetryError) else error
    for kinds, make in _TABLE:
        if isinstance(cause, kinds):
            return make()
    return Unreachable("firestore", f"Firestore gave no usable answer ({type(cause).__name__})", _NETWORK)


def is_missing_database(error: Exception) -> bool:
    """A missing database is NOT_FOUND as a missing document is; only the text tells."""
    return isinstance(error, api.NotFound) and "database" in str(error) and "does not exist" in str(error)


def _refused(cause: str, fix: str, code: str) -> MusterError:
    return Refused(f"Firestore {cause}", fix, code)
