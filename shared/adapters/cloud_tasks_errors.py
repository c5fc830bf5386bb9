"""What Cloud Tasks refuses, in our words."""

from __future__ import annotations

from collections.abc import Callable

from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError

from shared.domain.errors import Limited, Misconfigured, MusterError, Refused, Unreachable

VENDOR_ERRORS = (google.GoogleAPIError, DefaultCredentialsError)
ROLE_FIX = "give the function's service account the role Cloud Tasks Enqueuer (roles/cloudtasks.enqueuer) on the queue"


def _denied(queue_id: str, account: str, message: str) -> MusterError:
    if "actas" in message.lower():
        fix = f"give the function's service account the role Service Account User on {account}"
        return Refused(f"we may not create tasks that act as {account}", fix, "PERMISSION_DENIED")
    return Refused(f"we may not create tasks in the queue {queue_id}", ROLE_FIX, "PERMISSION_DENIED")


def _missing(queue_id: str, _account: str, _message: str) -> MusterError:
    fix = "create the queue (terraform apply), or correct TASKS_LOCATION and TASKS_QUEUE_*"
    return Refused(f"the queue {queue_id} does not exist", fix, "NOT_FOUND")


def _malformed(queue_id: str, _account: str, message: str) -> MusterError:
    fix = "check TASKS_URL_TEMPLATE and TASKS_SERVICE_ACCOUNT; a task waits for at most 30 days and holds 1 MB"
    return Refused(f"Cloud Tasks does not accept the task for {queue_id}: {message}", fix, "INVALID_ARGUMENT")


def _no_credentials(_queue_id: str, _account: str, _message: str) -> MusterError:
    fix = "run as a service account, or set CLOUD_TASKS_EMULATOR_HOST for the embedded stack"
    return Misconfigured("there are no Google credentials to reach Cloud Tasks with", fix)


def _over_quota(_queue_id: str, _account: str, _message: str) -> MusterError:
    return Limited("Cloud Tasks says that we are over its quota", 10, "raise the Cloud Tasks quota of the project")


_TABLE: tuple[tuple[type[Exception], Callable[[str, str, str], MusterError]], ...] = (
    (google.PermissionDenied, _denied),
    (google.Unauthenticated, _no_credentials),
    (DefaultCredentialsError, _no_credentials),
    (google.NotFound, _missing),
    (google.ResourceExhausted, _over_quota),
    (google.InvalidArgument, _malformed),
    (google.FailedPrecondition, _malformed),
)


def translated(error: Exception, queue: str, account: str) -> MusterError:
    """`queue`: its full name. `account`: the service account that the tasks act as."""
    for kind, make in _TABLE:
        if isinstance(error, kind):
            return make(queue.rpartition("/")[2], account, getattr(error, "message", ""))
    return Unreachable("tasks", f"Cloud Tasks gave no usable answer ({type(error).__name__})")


def gravity(error: BaseException) -> int:
    """A bug or a cancellation first, then what a person must mend, then what passes."""
    order: tuple[type[BaseException], ...] = (Unreachable, Limited, Refused, Misconfigured)
    return order.index(type(error)) if type(error) in order else len(order)
