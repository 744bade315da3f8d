"""One question to Prometheus at a time."""

from __future__ import annotations

import httpx

from seawall.errors import ServiceError

ANSWER_S_MAX = 2.0


def query(url: str, expression: str) -> float | None:
    """The value of ``expression`` now, which must be one number; None if there is no such series.

    Raises :class:`ServiceError` if Prometheus does not answer, or answers with several series or
    none of a number.
    """
    try:
        response = httpx.get(
            f"{url}/api/v1/query",
            params={"query": expression},
            timeout=ANSWER_S_MAX,
            trust_env=False,
        )
        response.raise_for_status()
        result = response.json()["data"]["result"]
        values = [float(series["value"][1]) for series in result]
    except httpx.HTTPError as error:
        message = (
            f"Prometheus at {url} did not answer {expression!r}: {type(error).__name__} {error}"
        )
        raise ServiceError(message) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        message = f"Prometheus at {url} answered {expression!r} with something else than a vector: {error!r}"
        raise ServiceError(message) from error
    if len(values) > 1:
        message = f"{expression!r} is {len(values)} series, not one"
        raise ServiceError(message, remedy="aggregate it")
    return values[0] if values else None
