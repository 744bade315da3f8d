"""How a runner talks to the lease holder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from seawall.errors import ServiceError
from seawall.lease.book import LeaseRequest, UndoCall

ANSWER_S_MAX = 1.0
EXPIRED = 404


class LeaseClient:
    """Lodges, renews and releases leases at the holder that answers at ``url``.

    Safe to call from several threads.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=url, timeout=ANSWER_S_MAX, trust_env=False, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; leases stay as they are."""
        self._http.close()

    def lodge(self, name: str, *, ttl_ms: int, undo: Sequence[UndoCall]) -> None:
        """Have ``undo`` kept; once this returns, it is made whoever dies.

        Raises :class:`ServiceError` if it is not kept.
        """
        request = LeaseRequest(ttl_ms=ttl_ms, undo=tuple(undo))
        response = self._call(
            "PUT", f"/leases/{name}", request.model_dump(mode="json", by_alias=True)
        )
        if response.status_code != httpx.codes.OK:
            raise self._refused(f"lodge {name}", response)

    def renew(self, name: str) -> bool:
        """Put the expiry off; False once the lease has expired.

        Raises :class:`ServiceError` if the holder does not answer so.
        """
        response = self._call("POST", f"/leases/{name}/renew")
        if response.status_code not in (httpx.codes.OK, EXPIRED):
            raise self._refused(f"renew {name}", response)
        return response.status_code == httpx.codes.OK

    def release(self, name: str) -> bool:
        """Give a lease back after undoing the fault; False if it had expired already."""
        response = self._call("DELETE", f"/leases/{name}")
        if response.status_code not in (httpx.codes.NO_CONTENT, EXPIRED):
            raise self._refused(f"release {name}", response)
        return response.status_code == httpx.codes.NO_CONTENT

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            message = f"the lease holder at {self._http.base_url} did not answer {method} {path}: {type(error).__name__} {error}"
            raise ServiceError(
                message, remedy="see logs/lease.log; no fault is applied without a lease"
            ) from error

    def _refused(self, operation: str, response: httpx.Response) -> ServiceError:
        return ServiceError(
            f"the lease holder refused to {operation}: HTTP {response.status_code} {response.text}"
        )
