"""Logs every request to the emulated AWS, one JSON line each: when, where, what, who, which status.

``--log FILE`` or the variable ``SEAWALL_AWS_LOG`` turns it on. The operation is read as the
protocols of AWS write it: the header ``X-Amz-Target``, the path of RPC v2, the form field
``Action``, or method and path of a REST service, for which botocore has the table.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from botocore.session import get_session
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from seawall.conventions.local_aws import ACCOUNT_ID, ROOT_ACCESS_KEY_ID

VARIABLE = "SEAWALL_AWS_LOG"
_READS = re.compile(r"(BatchGet|Describe|Get|Head|List|Lookup|Query|Scan|Search|Simulate)[A-Z]")
"""How AWS names operations that change nothing (service authorization reference, access levels List
and Read).
"""
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]+/([^/]+)/([^/]+)/aws4_request")
_RPC_PATH = re.compile(r"/service/[^/]+/operation/([^/]+)")
_MODELS = {"aps": "amp", "monitoring": "cloudwatch"}
"""botocore's name of a service where it is not the one in a signature."""
_CONTROL = "/moto-api/"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class LoggedRequest:
    """One request.

    ``at``: Unix seconds when it came. ``service``: its name in signatures. ``caller``: its ARN, or
    the access key if no user or session has it.
    """

    at: float
    region: str
    service: str
    action: str
    caller: str
    status: int

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return _READS.match(self.action) is not None


def read_log(path: Path) -> list[LoggedRequest]:
    """Return the requests that ``path`` holds so far."""
    return [
        LoggedRequest(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
    ]


class RequestLog:
    """WSGI middleware in front of ``app`` that appends a line for each request to ``path``.

    moto's own control pages are left out.
    """

    def __init__(self, app: Any, path: Path) -> None:
        self._app = app
        self._path = path
        self._path.touch()
        self._lock = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Pass the request on and log it."""
        if str(environ.get("PATH_INFO", "")).startswith(_CONTROL):
            return self._passed_on(environ, start_response)
        at, (key, region, service) = time.time(), _signed_for(environ)
        action = action_of(environ, service)
        statuses: list[int] = []

        def started(status: str, *rest: Any) -> Any:
            statuses.append(int(status.split(maxsplit=1)[0]))
            return start_response(status, *rest)

        try:
            return self._passed_on(environ, started)
        finally:
            caller = _arn(key)
            status = statuses[-1] if statuses else 0
            asked = LoggedRequest(
                at=at, region=region, service=service, action=action, caller=caller, status=status
            )
            with self._lock, self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(asked)) + "\n")

    def _passed_on(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


def action_of(environ: dict[str, Any], service: str) -> str:
    """The operation that a request asks for; ``METHOD path`` if ``service`` has no model for it.

    The body stays readable.
    """
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    path, query = (
        str(environ.get("PATH_INFO", "/")),
        parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True),
    )
    rpc = _RPC_PATH.fullmatch(path)
    if rpc is not None:
        return str(rpc[1])
    if "Action" in query:
        return str(query["Action"][0])
    if str(environ.get("CONTENT_TYPE", "")).startswith(_FORM):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        named = parse_qs(body.decode("utf-8", "replace")).get("Action")
        if named:
            return str(named[0])
    method = str(environ["REQUEST_METHOD"])
    headers = {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
    return _by_path(service, method, path, query, headers) or f"{method} {path}"


@dataclass(frozen=True, kw_only=True)
class _Route:
    name: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str | None]
    headers: frozenset[str]
    fixed: int


def _by_path(
    service: str, method: str, path: str, query: Mapping[str, list[str]], headers: set[str]
) -> str | None:
    """Return the most specific operation that fits."""
    fitting = [
        route
        for route in _routes(service)
        if route.method == method
        and route.path.fullmatch(path.rstrip("/") or "/")
        and all(
            key in query and value in (None, query[key][0]) for key, value in route.query.items()
        )
        and route.headers <= headers
    ]
    most = max(
        fitting,
        key=lambda route: (len(route.query) + len(route.headers), route.fixed),
        default=None,
    )
    return None if most is None else most.name


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    """Return where the operations of a REST service are; empty if botocore does not have it."""
    try:
        model = get_session().get_service_model(_MODELS.get(service, service))
    except UnknownServiceError:
        return ()
    return tuple(_route(model.operation_model(name)) for name in model.operation_names)


def _route(operation: Any) -> _Route:
    path, _, query = str(operation.http.get("requestUri", "/")).partition("?")
    pieces = re.split(r"(\{[^}]+\})", path.rstrip("/") or "/")
    pattern = "".join(
        (".+" if piece.endswith("+}") else "[^/]+") if piece.startswith("{") else re.escape(piece)
        for piece in pieces
    )
    wanted = {
        key: values[0] or None for key, values in parse_qs(query, keep_blank_values=True).items()
    }
    headers = set()
    shape = operation.input_shape
    for member in shape.required_members if shape is not None else ():
        place = shape.members[member].serialization
        if place.get("location") == "querystring":
            wanted.setdefault(place["name"], None)
        elif place.get("location") == "header":
            headers.add(place["name"].lower())
    return _Route(
        name=str(operation.name),
        method=str(operation.http["method"]),
        path=re.compile(pattern),
        query=wanted,
        headers=frozenset(headers),
        fixed=sum(len(piece) for piece in pieces if not piece.startswith("{")) - path.count("+}"),
    )


def _signed_for(environ: Mapping[str, Any]) -> tuple[str, str, str]:
    """Access key, region and service in the signature; ``-`` for a request without one."""
    found = _CREDENTIAL.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    return (found[1], found[2], found[3]) if found else ("-", "-", "-")


def _arn(key: str) -> str:
    """Return the ARN of the owner of ``key``, or the key itself if there is no owner."""
    if key == ROOT_ACCESS_KEY_ID:
        return f"arn:aws:iam::{ACCOUNT_ID}:root"
    for user in list(iam_backends[ACCOUNT_ID]["aws"].users.values()):
        if any(held.access_key_id == key for held in user.access_keys):
            return str(user.arn)
    sessions = sts_backends[ACCOUNT_ID]["aws"].assumed_roles
    return next(
        (str(session.arn) for session in list(sessions) if session.access_key_id == key), key
    )
