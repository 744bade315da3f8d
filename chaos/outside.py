"""A look at an endpoint from outside the injector.

Does a request that would reach it get an answer?
"""

from __future__ import annotations

import http.client
from typing import Literal

Look = Literal["answered", "silent", "broken"]

SILENT_S_MIN = 0.3
"""How long an endpoint must stay silent to count as hanging."""


def look(address: str) -> Look:
    """Send one request over a connection of its own to ``address`` (``host:port``).

    Any HTTP answer is ``answered``; a connection that takes the request and says nothing is
    ``silent``; whatever else happens (refused, reset, not HTTP) is ``broken`` and proves neither.
    """
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SILENT_S_MIN)
    try:
        connection.connect()
    except OSError:
        return "broken"
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        connection.getresponse()
    except TimeoutError:
        return "silent"
    except (OSError, http.client.HTTPException):
        return "broken"
    finally:
        connection.close()
    return "answered"
