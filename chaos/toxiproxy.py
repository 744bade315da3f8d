"""Network faults through Toxiproxy's HTTP interface (version 2)."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from seawall.errors import ServiceError
from seawall.lease import UndoCall

ANSWER_S_MAX = 1.0


def add_toxic(
    url: str, *, proxy: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]
) -> None:
    """Put a toxic on every connection of ``proxy``, open and future ones.

    Args:
        url: Toxiproxy's own interface.
        proxy: Its name there.
        name: Of the toxic, for its removal.
        kind: Toxiproxy's type of toxic.
        stream: ``upstream`` or ``downstream``.
        attributes: Of this kind of toxic; times in milliseconds.

    Raises:
        ServiceError: Toxiproxy does not answer, or refuses it.
    """
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
        raise ServiceError(
            f"Toxiproxy at {url} did not take the toxic {name}: {type(error).__name__} {error}"
        ) from error
    if not response.is_success:
        raise ServiceError(
            f"Toxiproxy refused the toxic {name} on {proxy}: "
            f"HTTP {response.status_code} {response.text.strip()}"
        )


def removal(url: str, *, proxy: str, name: str) -> UndoCall:
    """The call that removes the toxic; it is answered with 404 once the toxic is gone."""
    return UndoCall(method="DELETE", url=f"{url}/proxies/{proxy}/toxics/{name}")
