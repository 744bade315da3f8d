"""Signing routes: the primary region signs slots, or the standby while the breaker is open.

Each move to another region raises the lanes' epochs before the new region is asked, so a late
signature of the old region is refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import ValidationError

from seawall.controls.breaker import (
    Breaker,
    BreakerSettings,
    after_probe,
    after_signing,
    opened,
    probe_due,
)
from seawall.controls.timing import SIGNER_TIMEOUT_MS
from seawall.conventions import sabotage
from seawall.errors import InternalError
from venue.chain.transaction import Fees
from venue.process import pause
from venue.settler.lanes import Lane, LaneLostError, Lanes, Slot
from venue.settler.metrics import SettlerMetrics
from venue.signer.protocol import Refused, Signed, SigningRefusedError, SignRefusalCode, SignRequest

TIMEOUT_S = SIGNER_TIMEOUT_MS / 1_000
_BETWEEN_FAILURES_S = 0.25
_WAIT_S: Mapping[SignRefusalCode, float] = {
    "throttled": 0.05,
    "records_unavailable": 0.1,
    "log_unavailable": 0.1,
    "unknown_caller": 1.0,
    "not_allowed": 1.0,
}
"""Pauses after refusals that are no reason to fail over.

A throttled signer works, and its bucket's share refills continuously. Without the venue's records
or the sign log no region signs, and both have the same ones. Who is not known to a signer waits for
people, whom it pages.
"""
_WITHOUT_DATABASE: Collection[SignRefusalCode] = ("records_unavailable", "log_unavailable")
_WITHOUT_DATABASE_MAX = 10
"""After so many of these refusals in a row, about 3 s, it may be the region that is cut off.

If it is the sign log that is away, the other region does not sign either, and its probes say so.
"""
_PROBE_TICK_S = 0.1
_log = logging.getLogger(__name__)


def _now_us() -> int:
    return time.time_ns() // 1_000


class StaleModeError(Exception):
    """The mode has changed since it allowed what a slot does: look again before it is signed."""


class OverCapError(Exception):
    """The signer's caps have no room for a slot now; it is signed later, or with less in it."""


_LOOK_AGAIN: Mapping[SignRefusalCode, type[Exception]] = {
    "stale_mode": StaleModeError,
    "over_cap": OverCapError,
}
"""Refusals after which the caller looks again at what the slot does."""


@dataclass(kw_only=True)
class SigningRoutes:
    """Asks the signer of the region that the breaker allows; ``urls`` are by region.

    ``now_us`` is the time of day, Unix microseconds.
    """

    urls: Mapping[str, str]
    primary: str
    standby: str
    network: str
    lanes: Lanes
    client: httpx.AsyncClient
    metrics: SettlerMetrics
    now_us: Callable[[], int] = _now_us
    settings: BreakerSettings = field(default_factory=BreakerSettings)
    breaker: Breaker = field(default_factory=Breaker)
    _moving: asyncio.Lock = field(default_factory=asyncio.Lock)

    def adopt(self) -> None:
        """Continue with the region that the lanes' rows name."""
        if any(lane.signer_region == self.standby for lane in self.lanes.lanes):
            self.breaker = opened(self.now_us())
        self._show()

    async def sign(
        self, slot: Slot, stop: asyncio.Event, *, fees: Fees | None = None
    ) -> Signed | None:
        """The signed bytes of ``slot``, however long it takes; None when ``stop`` was set.

        ``fees`` are those of a transaction that replaces its first one; None also if the slot is
        final before that is signed.

        Raises :class:`LaneLostError`, :class:`StaleModeError`, :class:`OverCapError`.
        """
        failures = without = 0
        while not stop.is_set():
            region, epoch = slot.lane.signer_region, slot.lane.epoch
            try:
                signed = await self._ask(region, slot, epoch, fees or slot.fees)
            except SigningRefusedError as error:
                if error.code == "stale_epoch":
                    await self._moved(slot.lane, epoch, error)
                    continue
                if error.code in _LOOK_AGAIN:
                    raise _LOOK_AGAIN[error.code](error.reason) from error
                if error.code == "no_slot" and fees is not None:
                    return None
                without = without + 1 if error.code in _WITHOUT_DATABASE else 0
                if error.code in _WAIT_S and without < _WITHOUT_DATABASE_MAX:
                    _log.info("%s did not sign: %s", region, error.reason)
                    await pause(stop, _WAIT_S[error.code])
                    continue
                if error.code not in ("provider_unavailable", *_WITHOUT_DATABASE):
                    raise InternalError(
                        f"the signer of {region} refuses slot {slot.id}: {error.reason}"
                    ) from error
                _log.warning("%s did not sign: %s", region, error.reason)
                failures += 1
                await self._failed(region)
                if failures > 1 and slot.lane.signer_region == region:
                    await pause(stop, _BETWEEN_FAILURES_S)
            else:
                if region == self.primary:
                    self.breaker = after_signing(
                        self.breaker, self.settings, answered=True, now_us=self.now_us()
                    )
                return signed
        return None

    async def _moved(self, lane: Lane, epoch: int, error: SigningRefusedError) -> None:
        """Wait until ``lane`` has the epoch to which this settler has moved it from ``epoch``.

        Raises :class:`LaneLostError` if it has not: it is another settler's.
        """
        if lane.epoch == epoch and not self._moving.locked():
            raise LaneLostError(error.reason) from error
        async with self._moving:
            return

    async def probe_loop(self, stop: asyncio.Event) -> None:
        """While the standby signs, probe the primary; go back once it has answered long enough."""
        while not stop.is_set():
            if probe_due(self.breaker, self.settings, self.now_us()):
                answered = await self._probe()
                async with self._moving:
                    self.breaker = after_probe(
                        self.breaker, self.settings, answered=answered, now_us=self.now_us()
                    )
                    if not self.breaker.on_standby:
                        await self._move(
                            self.primary, "The primary region has answered its probes again.", None
                        )
            await pause(stop, _PROBE_TICK_S)

    async def _failed(self, region: str) -> None:
        await self.lanes.signing_failed(self.network)
        if region != self.primary or sabotage.sabotaged(sabotage.SABOTAGE_FAILOVER):
            return
        async with self._moving:
            before = self.breaker
            self.breaker = after_signing(
                before, self.settings, answered=False, now_us=self.now_us()
            )
            if self.breaker.on_standby and not before.on_standby:
                count = self.settings.failures_to_open
                reason = f"The primary region failed to sign {count} times in a row."
                await self._move(self.standby, reason, self.breaker.opened_at_us)

    async def _move(self, region: str, reason: str, detected_at_us: int | None) -> None:
        await self.lanes.move(region=region, reason=reason, detected_at_us=detected_at_us)
        _log.warning("signing moved to %s: %s", region, reason)
        self._show()

    def _show(self) -> None:
        for lane in self.lanes.lanes:
            for region in (self.primary, self.standby):
                self.metrics.route(lane.wallet, region, in_force=lane.signer_region == region)

    async def _ask(self, region: str, slot: Slot, epoch: int, fees: Fees) -> Signed:
        request = SignRequest(
            wallet=slot.lane.wallet,
            chain_id=slot.lane.chain_id,
            address=slot.lane.address,
            nonce=slot.nonce,
            epoch=epoch,
            to=slot.to,
            value=slot.value,
            data=slot.data,
            gas_limit=fees.gas_limit,
            max_fee_wei=fees.max_fee_wei,
            priority_fee_wei=fees.priority_fee_wei,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self.client.post(
                    f"{self.urls[region]}/sign", content=request.model_dump_json()
                )
            if answer.is_success:
                signed = Signed.model_validate_json(answer.content)
            else:
                refused = Refused.model_validate_json(answer.content)
                raise SigningRefusedError(refused.code, refused.reason)
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            raise SigningRefusedError(
                "provider_unavailable", f"the signer of {region} does not answer: {error!r}"
            ) from error
        if signed.digest != slot.intent.digest:
            raise InternalError(
                f"the signer of {region} signed another intent than that of slot {slot.id}"
            )
        return signed

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self.client.post(
                    f"{self.urls[self.primary]}/probe", json={"wallet": self.lanes.lanes[0].wallet}
                )
        except (httpx.HTTPError, TimeoutError):
            return False
        return answer.is_success
