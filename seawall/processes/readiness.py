"""How a component shows that it is ready: a line in its log, or an answer over HTTP.

Each function returns a check that the supervisor calls until it holds; a check never waits long.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 1.0


class Started(Protocol):
    """What a check may read of a component."""

    def log_text(self) -> str:
        """Everything that the component has written so far."""


Ready = Callable[[Started], bool]


def log_line(pattern: str) -> Ready:
    """Ready when a line of the component's output matches the regular expression ``pattern``.

    ``^`` and ``$`` match at line ends.
    """
    compiled = re.compile(pattern, re.MULTILINE)
    return lambda started: compiled.search(started.log_text()) is not None


def http_answers(
    url: str, *, holds: Callable[[Any], bool] | None = None, body: Any = None
) -> Ready:
    """Ready when ``url`` answers with a status below 500.

    If ``holds`` is given, it must be true of the JSON. A ``body`` makes it a POST of that JSON.
    """

    def answers(_started: Started) -> bool:
        try:
            status, text = request(url, body=body)
            return status < http.HTTPStatus.INTERNAL_SERVER_ERROR and (
                holds is None or holds(json.loads(text))
            )
        except (OSError, http.client.HTTPException, json.JSONDecodeError, KeyError, TypeError):
            # not there yet, or not yet itself: the supervisor asks again until its time is over
            return False

    return answers


def request(url: str, *, body: Any = None) -> tuple[int, bytes]:
    """One HTTP request on loopback, past any proxy that the user's environment names.

    Status and body.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port, timeout=ANSWER_TIMEOUT_S
    )
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        if body is None:
            connection.request("GET", path)
        else:
            connection.request(
                "POST", path, body=json.dumps(body), headers={"content-type": "application/json"}
            )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
