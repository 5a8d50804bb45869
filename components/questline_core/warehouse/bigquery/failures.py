"""What BigQuery answers when it refuses, as sentences of ours: what, where, and what to do."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import requests  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.auth import exceptions as auth

from questline_core.errors import BadInput, NotReady, QuestlineError
from questline_core.warehouse.googlesql import similar

_PLACE = re.compile(r"\s*at \[(?P<line>\d+):(?P<column>\d+)\]\.?$")
_NO_TABLE = re.compile(r"Not found: Table [^:\s]+:(?P<name>[\w$.-]+)")
_NO_DATASET = re.compile(r"Not found: Dataset [^:\s]+:(?P<name>\w+)")
_NO_COLUMN = re.compile(r"Unrecognized name: (?P<name>[\w`.]+)(?:; Did you mean (?P<close>[\w`.]+)\?)?")
_NO_PARAMETER = re.compile(r"Query parameter '(?P<name>\w+)' not found")
_CONFLICT = re.compile(r"aborted due to concurrent update|Could not serialize access", re.IGNORECASE)
_TOO_MUCH = re.compile(r"limit for bytes billed: (?P<limit>\d+)\. (?P<need>\d+) or higher required")

_ROLES = "docs/bigquery.md lists the roles that Questline needs"
_LOGIN = (
    "there are no Google credentials that work: run `gcloud auth application-default login`, or let the pod use a"
    " service account (Workload Identity)"
)
_SERVER_REASONS = frozenset({"backendError", "internalError", "jobBackendError", "jobInternalError", "badGateway"})
_LATER = frozenset({"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded"})
_NO_ANSWER = (
    exceptions.RetryError,
    concurrent.futures.TimeoutError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    auth.TransportError,
)

Tables = Callable[[], Sequence[str]]
"""Names the tables that are there, for a hint about a misspelt one."""


@contextmanager
def explained(doing: str, tables: Tables = lambda: ()) -> Iterator[None]:
    """Turn errors of Google's clients into ours; `doing` says what was tried, such as "the query"."""
    try:
        yield
    except (auth.DefaultCredentialsError, auth.RefreshError) as error:
        raise NotReady(f"{doing} was not sent to BigQuery: {_LOGIN} ({_first_line(str(error))})") from error
    except _NO_ANSWER as error:
        cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
        why = _first_line(str(cause)) or type(cause).__name__
        raise NotReady(f"{doing} got no answer from BigQuery in time ({why}); try again") from error
    except exceptions.GoogleAPICallError as error:
        raise explain(error, doing, tables) from error


def is_conflict(error: BaseException) -> bool:
    """Tell whether a job was cancelled because another one changed the same table."""
    return isinstance(error, exceptions.GoogleAPICallError) and bool(_CONFLICT.search(str(error.message)))


def reason_of(error: exceptions.GoogleAPICallError) -> str:
    """Name the reason that BigQuery gives beside the text, such as `invalidQuery`; empty when it gives none."""
    return _detail(error, "reason")


def _detail(error: exceptions.GoogleAPICallError, name: str) -> str:
    details = [detail for detail in error.errors if isinstance(detail, dict)]
    return str(details[0].get(name, "")) if details else ""


def is_server_fault(error: BaseException) -> bool:
    """Tell whether BigQuery itself failed, so that the same call may pass another time.

    The client gives every job error of a reason that it does not know the class of a server error, so the reason goes
    before the class.
    """
    if not isinstance(error, exceptions.GoogleAPICallError):
        return False
    reason = reason_of(error)
    return reason in _SERVER_REASONS if reason else isinstance(error, exceptions.ServerError)


def explain(error: exceptions.GoogleAPICallError, doing: str, tables: Tables) -> QuestlineError:
    """Say in one sentence what BigQuery refused."""
    # The client writes all details of a job's error behind its text; the first detail holds the text alone.
    text = _first_line(_detail(error, "message") or str(error.message))
    wait = _why_to_wait(error, text, doing)
    if wait is not None:
        return NotReady(wait)
    if isinstance(error, exceptions.Forbidden):
        return BadInput(f"BigQuery refuses {doing}: {text}; {_ROLES}")
    return BadInput(_refusal(text, doing, tables))


def _why_to_wait(error: exceptions.GoogleAPICallError, text: str, doing: str) -> str | None:
    """Explain an error that may be gone later or elsewhere; None for one that comes again whenever this is tried."""
    reason = reason_of(error)
    if isinstance(error, exceptions.Unauthorized):
        return f"BigQuery refuses {doing}: {_LOGIN}"
    if reason in _LATER or isinstance(error, exceptions.TooManyRequests):
        return f"a quota of the project is used up, so {doing} was refused: {text}; try again later"
    if is_conflict(error):
        return f"other processes kept changing the same table, so {doing} was given up; try again"
    if reason in {"stopped", "timeout"}:
        return f"{doing} was stopped: {text}; ask for less, or raise QUESTLINE_BIGQUERY_TIMEOUT_S"
    return f"BigQuery failed at {doing}: {text}; try again" if is_server_fault(error) else None


def _refusal(text: str, doing: str, tables: Tables) -> str:
    place = _PLACE.search(text)
    where = f"line {place['line']}, column {place['column']}: " if place else ""
    what = _PLACE.sub("", text)
    if missing := _NO_TABLE.search(what):
        return f"{where}there is no table {missing['name']}{similar(missing['name'], tables(), 'the tables are')}"
    if missing := _NO_DATASET.search(what):
        return f"{where}there is no dataset {missing['name']}; `questline import-table` and the stream make one"
    if missing := _NO_COLUMN.search(what):
        close = f"; did you mean {missing['close']}?" if missing["close"] else ""
        return f"{where}there is no column {missing['name']}{close}"
    if missing := _NO_PARAMETER.search(what):
        return f"the query uses @{missing['name']}, but no value was given for it"
    if costly := _TOO_MUCH.search(what):
        return (
            f"{doing} would be billed for {int(costly['need']):,} bytes, and the limit is {int(costly['limit']):,};"
            " read fewer columns or days, or raise QUESTLINE_BIGQUERY_MAXIMUM_BYTES_BILLED"
        )
    return f"{where}BigQuery refuses {doing}: {what}"


def _first_line(text: str) -> str:
    # The client puts location and job id on lines of their own below the text.
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
