"""Probes of the steady state (Chaos Toolkit's python provider).

Each answers true or false; bounds come from the policy.

False means seen and not so, with the reason in the log. An exception means that it could not be
seen, which Chaos Toolkit records as a failed probe. Neither is a steady state. The answers are real
booleans, because for Chaos Toolkit 1 is within the tolerance true.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from chaos.customer import api_key, smallest_sum
from chaos.deployment import Surroundings, look_around
from chaos.prometheus import query
from seawall.conventions import metrics
from seawall.formats.drill_contract import (
    Login,
    Refusal,
    VenueClient,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
)
from seawall.policy import TIERS

ANSWER_S_MAX = 2.0
"""Longer than any customer's client waits for a page."""
FOLLOW_EVERY_S = 0.2
_Result = TypeVar("_Result")
_log = logging.getLogger("chaostoolkit")


def api_answers() -> bool:
    """A customer can log in."""
    surroundings = look_around()
    answer = _ask(surroundings, lambda venue: venue.login(api_key(surroundings.targets.data_dir)))
    return _so(isinstance(answer, Login), f"login was refused: {answer}")


def status_reachable() -> bool:
    """The venue says which tier is in force, and that tier's promises are those of the policy."""
    surroundings = look_around()
    status = _ask(surroundings, lambda venue: venue.status())
    promise = surroundings.policy.tiers.promise(status.tier)
    kept = all(
        set(said) == set(promised)
        for said, promised in (
            (status.guarantees, promise.guarantees),
            (status.defers, promise.defers),
            (status.suspends, promise.suspends),
        )
    )
    return _so(
        status.tier in TIERS and kept,
        f"the venue promises something else than the policy in tier {status.tier}: {status}",
    )


def mode_controller_beats() -> bool:
    """The mode controller was alive within the time after which its metrics would count as absent."""
    surroundings = look_around()
    beat_at = query(
        surroundings.targets.urls.prometheus, f"max({metrics.MODE_CONTROLLER_HEARTBEAT})"
    )
    if beat_at is None:
        return _so(False, f"there is no series {metrics.MODE_CONTROLLER_HEARTBEAT}")
    silence_ms = (time.time() - beat_at) * 1_000
    limit_ms = surroundings.policy.monitoring.absent_for
    return _so(
        silence_ms <= limit_ms,
        f"the mode controller's last heartbeat was {silence_ms:.0f} ms ago, more than {limit_ms} ms",
    )


def withdrawal_completes() -> bool:
    """A small withdrawal that is asked for now is posted within the policy's target for small
    withdrawals.
    """
    surroundings = look_around()
    return _ask(surroundings, lambda venue: _withdraw(surroundings, venue))


def payouts_progress() -> bool:
    """Payouts become final, or no guaranteed payout is waiting, within the policy's target for
    small withdrawals.
    """
    surroundings = look_around()
    prometheus = surroundings.targets.urls.prometheus
    within_s = surroundings.policy.targets.small_withdrawal_within / 1_000
    pause_s = surroundings.policy.monitoring.scrape_every / 1_000
    give_up = time.monotonic() + within_s
    first = query(prometheus, f"sum({metrics.PAYOUTS_FINAL})")
    while True:
        waiting = query(prometheus, f'max({metrics.QUEUE_DEPTH}{{scope="guaranteed"}})')
        final = query(prometheus, f"sum({metrics.PAYOUTS_FINAL})")
        if waiting == 0 or (final is not None and final > (first or 0)):
            return True
        if time.monotonic() >= give_up:
            return _so(
                False,
                f"{final} payouts final and {waiting} guaranteed ones waiting, unchanged for {within_s} s",
            )
        time.sleep(pause_s)


async def _withdraw(surroundings: Surroundings, venue: VenueClient) -> bool:
    policy = surroundings.policy
    key = api_key(surroundings.targets.data_dir)
    balances = await venue.balances(key)
    if isinstance(balances, Refusal):
        return _so(False, f"balances were refused: {balances}")
    sum_ = smallest_sum(policy, balances.balances)
    if sum_ is None:
        return _so(False, "the customer of experiments has nothing left to withdraw")
    identity = uuid.uuid4()
    request = WithdrawalRequest(
        id=identity,
        network=sum_.network,
        asset=sum_.asset,
        amount=sum_.available,
        destination="0x" + hashlib.sha256(identity.bytes).hexdigest()[:40],
    )
    within_s = policy.targets.small_withdrawal_within / 1_000
    started = time.monotonic()
    answer: WithdrawalReceipt | Withdrawal | Refusal = await venue.withdraw(key, request)
    while not isinstance(answer, Refusal) and answer.state not in ("posted", "voided", "unknown"):
        if time.monotonic() - started > within_s:
            break
        await asyncio.sleep(FOLLOW_EVERY_S)
        answer = await venue.withdrawal(key, identity)
    elapsed_s = time.monotonic() - started
    posted = not isinstance(answer, Refusal) and answer.state == "posted" and elapsed_s <= within_s
    return _so(
        posted,
        f"withdrawal {identity} was not posted within {within_s} s, but after {elapsed_s:.1f} s: {answer}",
    )


def _ask(
    surroundings: Surroundings, question: Callable[[VenueClient], Awaitable[_Result]]
) -> _Result:
    """Put ``question`` to the venue as a customer would: through the address that customers use."""

    async def ask() -> _Result:
        async with httpx.AsyncClient(
            base_url=surroundings.targets.urls.api, timeout=ANSWER_S_MAX, trust_env=False
        ) as http:
            return await question(VenueClient(http))

    return asyncio.run(ask())


def _so(holds: bool, otherwise: str) -> bool:  # noqa: FBT001 -- a verdict and its reason
    """``holds``, with the reason in the log if it does not."""
    if not holds:
        _log.warning("%s", otherwise)
    return holds
