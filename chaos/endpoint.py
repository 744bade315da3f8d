"""A probe of an endpoint that is independent of what injects the fault."""

from __future__ import annotations

import http.client
from typing import Literal

Answer = Literal["answered", "silent", "refused", "broken"]

SILENT_S_MIN = 0.3
"""How long an endpoint must stay silent to count as hanging."""


def probe(address: str) -> Answer:
    """Send one request over a new connection to ``address`` (``host:port``).

    Returns:
        ``answered`` for any HTTP answer; ``silent`` if nothing came back, not even a connection (a
        process that stands still leaves its backlog full); ``refused`` if nobody listens;
        ``broken`` for everything else (reset, not HTTP).
    """
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SILENT_S_MIN)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
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
