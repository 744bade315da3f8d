"""The owner's side of a lease: lodge an undo, renew it while the owner lives, give it back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import psutil

from seawall.errors import ServiceError
from seawall.formats.deployment import address_of
from seawall.lease.book import LeaseRequest, UndoCall
from seawall.lease.undo import PAUSE_S, REAL_CLOCK, UNDO_MS_MAX, Clock

ANSWER_S_MAX = 1.0
EXPIRED = 404
RENEWALS_PER_TTL = 3
"""Two renewals may be lost in a row without losing the lease."""
RETRIES_PER_TTL = 20
"""How often in a time to live an unanswered renewal is repeated."""


class LeaseClient:
    """A client of the lease holder at ``url``; safe to call from several threads."""

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
        """Have ``undo`` kept; once this returns, it is made even if this process dies.

        Raises:
            ServiceError: It is not kept.
        """
        request = LeaseRequest(ttl_ms=ttl_ms, undo=tuple(undo))
        response = self._call(
            "PUT", f"/leases/{name}", request.model_dump(mode="json", by_alias=True)
        )
        if response.status_code != httpx.codes.OK:
            raise self._refused(f"lodge {name}", response)

    def renew(self, name: str) -> bool:
        """Put the expiry off by one time to live; False once the lease has expired.

        Raises:
            ServiceError: The holder does not answer, or answers something else.
        """
        response = self._call("POST", f"/leases/{name}/renew")
        if response.status_code not in (httpx.codes.OK, EXPIRED):
            raise self._refused(f"renew {name}", response)
        return response.status_code == httpx.codes.OK

    def release(self, name: str) -> bool:
        """Give a lease back after undoing the fault; False if it had expired already.

        Raises:
            ServiceError: The holder does not answer, or answers something else.
        """
        response = self._call("DELETE", f"/leases/{name}")
        if response.status_code not in (httpx.codes.NO_CONTENT, EXPIRED):
            raise self._refused(f"release {name}", response)
        return response.status_code == httpx.codes.NO_CONTENT

    def left(self) -> dict[str, tuple[UndoCall, ...]]:
        """The undo of every lease that is held, by its name.

        Raises:
            ServiceError: The holder does not answer, or answers something else.
        """
        response = self._call("GET", "/leases")
        if response.status_code != httpx.codes.OK:
            raise self._refused("list the leases", response)
        return {
            each["name"]: tuple(UndoCall.model_validate(call) for call in each["undo"])
            for each in response.json()["leases"]
        }

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"the lease holder at {self._http.base_url} did not answer {method} {path}: "
                f"{type(error).__name__} {error}",
                remedy="see logs/lease.log; no fault is applied without a lease",
            ) from error

    def _refused(self, operation: str, response: httpx.Response) -> ServiceError:
        return ServiceError(
            f"the lease holder refused to {operation}: HTTP {response.status_code} {response.text}"
        )


def await_undone(url: str, *, within_ms: int = UNDO_MS_MAX, clock: Clock = REAL_CLOCK) -> None:
    """Return once the holder at ``url`` holds no lease: every fault is undone.

    Raises:
        ServiceError: It still holds one after ``within_ms``, or does not answer; says which calls
            undo what is left.
    """
    give_up_ms = clock.monotonic_ms() + within_ms
    with contextlib.closing(LeaseClient(url)) as client:
        while left := client.left():
            if clock.monotonic_ms() >= give_up_ms:
                calls = (
                    f"{call.method} {address_of(call.url)}"
                    for undo in left.values()
                    for call in undo
                )
                raise ServiceError(
                    f"still in force after {within_ms} ms: {', '.join(left)}",
                    remedy=f"make these calls by hand: {'; '.join(calls)}",
                )
            clock.sleep(PAUSE_S)


class Renewable(Protocol):
    """The part of :class:`LeaseClient` that renewing needs."""

    def renew(self, name: str) -> bool:
        """As :meth:`LeaseClient.renew`."""


class RunnerWatch:
    """Whether the process that a drill runs for is still alive.

    A later process with the same id does not count as it.
    """

    def __init__(self, pid: int | None) -> None:
        """Watch ``pid``; None (a plain `chaos run`) watches nothing."""
        self._pid = pid
        self._process: psutil.Process | None = None
        if pid is not None:
            # If it is dead already, that is what a call says.
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(pid)  # remembers when the process started

    def __call__(self) -> str | None:
        """None while the runner is alive, else that it is gone; a zombie is gone."""
        if self._pid is None:
            return None
        try:
            process = self._process
            alive = (
                process is not None
                and process.is_running()
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            alive = False
        return None if alive else f"the runner (process {self._pid}) is gone"


class Renewer:
    """A thread that renews one lease three times in each time to live.

    It ends when it is stopped, when ``watch`` gives a reason to end the drill (None means go on),
    or when the lease has expired. ``lost`` is the reason why the lease is lost, None while it is
    held.
    """

    def __init__(
        self,
        client: Renewable,
        *,
        name: str,
        ttl_ms: int,
        watch: Callable[[], str | None],
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._client = client
        self._name = name
        self._ttl_ms = ttl_ms
        self._watch = watch
        self._clock = clock
        self._renewed_ms = clock.monotonic_ms()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"renew {name}", daemon=True)
        self.lost: str | None = None

    def start(self) -> None:
        """Begin to renew a lease that has just been lodged."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; no renewal is sent after this returns."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def require_held(self) -> None:
        """Require that the lease is still held.

        Raises:
            ServiceError: It is lost; says why.
        """
        if self.lost is not None:
            raise ServiceError(
                f"the lease {self._name} is lost: {self.lost}",
                remedy="its undo has been or is being made; start the drill again",
            )

    def step(self) -> int | None:
        """Renew once, unless the drill must end.

        Returns:
            Milliseconds to wait before the next step; None if there is none.
        """
        self.lost = self._watch()
        if self.lost is not None:
            return None
        asked_ms = self._clock.monotonic_ms()
        try:
            held = self._client.renew(self._name)
        except ServiceError as error:
            if self._clock.monotonic_ms() - self._renewed_ms < self._ttl_ms:
                return self._ttl_ms // RETRIES_PER_TTL
            self.lost = str(error)
            return None
        if not held:
            self.lost = "it expired"
            return None
        self._renewed_ms = asked_ms
        return self._ttl_ms // RENEWALS_PER_TTL

    def _run(self) -> None:
        pause_ms: int | None = self._ttl_ms // RENEWALS_PER_TTL
        while pause_ms is not None and not self._stopping.wait(pause_ms / 1_000):
            pause_ms = self.step()
