"""The control path of the emulator: the KMS quota, changed at run time by drills.

On AWS a quota is raised through Service Quotas. Here ``PUT /seawall/kms-ecc-quota`` with
``{"per_s": 20}`` (null: no quota) sets it, and GET answers ``{"per_s", "throttled"}``; both need
the account's root credentials as HTTP basic authentication, which the venue never has.

``PUT /seawall/kms-crowding/<region>`` with ``{"refused": 0.9}`` lets another tenant use that
Region's quota up, so that KMS refuses this share of all requests; DELETE ends it (204; 404 if there
is none). It needs no credentials, as Toxiproxy needs none: whoever reaches loopback can make the
sandbox refuse, and can make it allow nothing.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from werkzeug.wrappers import Request, Response

from localaws.emulator.services.kms import CROWDING, QUOTA
from seawall.conventions.local_aws import (
    KMS_CROWDING_PATH,
    ROOT_ACCESS_KEY_ID,
    ROOT_SECRET_ACCESS_KEY,
)
from seawall.errors import ServiceError

KMS_QUOTA_PATH = "/seawall/kms-ecc-quota"
_TIMEOUT_S = 5.0

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Control:
    """A WSGI application that answers the control path itself and leaves all else to ``app``."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO"))
        if path == KMS_QUOTA_PATH:
            return _answer(Request(environ))(environ, start_response)
        head, _, region = path.rpartition("/")
        if head == KMS_CROWDING_PATH:
            return _crowding(Request(environ), region)(environ, start_response)
        return self._app(environ, start_response)


def kms_quota(endpoint: str) -> int | None:
    """Return the elliptic-curve quota of the AWS at ``endpoint``, in requests a second.

    Raises :class:`ServiceError`.
    """
    found = _ask(endpoint, "GET")["per_s"]
    return None if found is None else int(found)


def throttled(endpoint: str) -> int:
    """Return how many requests the quota refused so far. Raises :class:`ServiceError`."""
    return int(_ask(endpoint, "GET")["throttled"])


def set_kms_quota(endpoint: str, per_s: int | None) -> None:
    """Set the quota, for every Region; None lifts it. Raises :class:`ServiceError`."""
    _ask(endpoint, "PUT", {"per_s": per_s})


def _ask(endpoint: str, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    auth = (ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)
    try:
        answer = httpx.request(
            method, f"{endpoint}{KMS_QUOTA_PATH}", json=body, auth=auth, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        described: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceError(f"the sandbox's AWS did not take the KMS quota: {error}") from error
    return described


def _answer(request: Request) -> Response:
    if not _is_root(request):
        return Response("the account's root credentials are needed", 401)
    if request.method == "PUT":
        try:
            per_s = json.loads(request.get_data())["per_s"]
        except (ValueError, KeyError, TypeError):
            return Response('the body must be {"per_s": N} or {"per_s": null}', 400)
        if not (
            per_s is None or (isinstance(per_s, int) and not isinstance(per_s, bool) and per_s > 0)
        ):
            return Response("per_s must be a positive whole number or null", 400)
        QUOTA.set(per_s)
    elif request.method != "GET":
        return Response("GET or PUT", 405)
    described = json.dumps({"per_s": QUOTA.per_s, "throttled": QUOTA.throttled})
    return Response(described, 200, content_type="application/json")


def _crowding(request: Request, region: str) -> Response:
    if request.method == "DELETE":
        return Response(status=204 if CROWDING.set(region, None) else 404)
    if request.method != "PUT":
        return Response("PUT or DELETE", 405)
    try:
        refused = json.loads(request.get_data())["refused"]
    except (ValueError, KeyError, TypeError):
        return Response('the body must be {"refused": 0.9}', 400)
    if not isinstance(refused, (int, float)) or isinstance(refused, bool) or not 0 < refused <= 1:
        return Response("refused must be a share above 0, up to 1", 400)
    CROWDING.set(region, float(refused))
    return Response(status=204)


def _is_root(request: Request) -> bool:
    given = request.authorization
    if given is None or given.type != "basic":
        return False
    return given.username == ROOT_ACCESS_KEY_ID and hmac.compare_digest(
        given.password or "", ROOT_SECRET_ACCESS_KEY
    )
