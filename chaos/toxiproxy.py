"""Wire faults through Toxiproxy's HTTP interface (version 2)."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from seawall.errors import ServiceError
from seawall.lease import UndoCall

ANSWER_S_MAX = 1.0


def add_toxic(
    url: str, *, proxy: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]
) -> None:
    """Put a toxic on every connection of ``proxy``, old and new. Raises :class:`ServiceError`."""
    toxic = {
        "name": name,
        "type": kind,
        "stream": stream,
        "toxicity": 1.0,
        "attributes": dict(attributes),
    }
    try:
        response = httpx.post(
            f"{url}/proxies/{proxy}/toxics", json=toxic, timeout=ANSWER_S_MAX, trust_env=False
        )
    except httpx.HTTPError as error:
        message = (
            f"Toxiproxy at {url} did not take the toxic {name}: {type(error).__name__} {error}"
        )
        raise ServiceError(message) from error
    if not response.is_success:
        message = f"Toxiproxy refused the toxic {name} on {proxy}: HTTP {response.status_code} {response.text.strip()}"
        raise ServiceError(message)


def removal(url: str, *, proxy: str, name: str) -> UndoCall:
    """The call that takes the toxic away; 404 once it is gone."""
    return UndoCall(method="DELETE", url=f"{url}/proxies/{proxy}/toxics/{name}")
