"""Probes of the steady state (Chaos Toolkit's python provider), with bounds from the policy.

Each returns a boolean. False means that the state was observed and is not as it should be; the
reason is in the log. An exception means that it could not be observed, which Chaos Toolkit records
as a failed probe. Neither is a steady state. The values are real booleans, because for Chaos
Toolkit 1 is within the tolerance true.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from chaos.context import Context, read_context
from seawall.conventions import metrics
from seawall.errors import ServiceError, UsageError
from seawall.formats.customers import OF_EXPERIMENTS, Account, read_accounts
from seawall.formats.deployment import Deployment
from seawall.formats.drill_contract import (
    FOLLOW,
    WITHDRAW,
    Refusal,
    Status,
    VenueClient,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
    keyless_address,
    load_adapter,
    smallest_sum,
)
from seawall.policy import TIERS

ANSWER_S_MAX = 2.0
"""How long the venue or Prometheus may take; longer than any customer's client waits for a page."""
FOLLOW_EVERY_S = 0.2
_Result = TypeVar("_Result")
_log = logging.getLogger("chaostoolkit")


def api_answers() -> bool:
    """A customer can log in; at a venue without a login, see the balances or the status."""
    context = read_context()

    async def ask(venue: VenueClient) -> bool:
        answer: object = None
        if "login" in venue.adapter.operations:
            answer = await venue.login(account_of(context.deployment).customer)
        elif "balances" in venue.adapter.operations:
            answer = await venue.balances(account_of(context.deployment).customer)
        else:
            _require(venue, "status")
            answer = await venue.status()
        return _check(not isinstance(answer, Refusal), f"the customer was refused: {answer}")

    return _call_venue(context, ask)


def status_reachable() -> bool:
    """The venue says which tier is in force, and promises there what the policy does.

    Promises that the venue does not make are not compared.
    """
    context = read_context()

    async def ask(venue: VenueClient) -> Status:
        _require(venue, "status")
        return await venue.status()

    status = _call_venue(context, ask)
    promise = context.policy.tiers.promise(status.tier)
    kept = all(
        found is None or set(found) == set(promised)
        for found, promised in (
            (status.guarantees, promise.guarantees),
            (status.defers, promise.defers),
            (status.suspends, promise.suspends),
        )
    )
    return _check(
        status.tier in TIERS and kept,
        f"the venue promises something else than the policy in tier {status.tier}: {status}",
    )


def mode_controller_beats() -> bool:
    """The mode controller's heartbeat is younger than the policy's ``monitoring.absent_for``.

    Prometheus may just have come back, so it is given as long to see a beat.
    """
    context = read_context()
    limit_ms = context.policy.monitoring.absent_for
    give_up = time.monotonic() + limit_ms / 1_000
    while True:
        beat_at = _query(context, "max", metrics.MODE_CONTROLLER_HEARTBEAT)
        age_ms = None if beat_at is None else (time.time() - beat_at) * 1_000
        if age_ms is not None and age_ms <= limit_ms:
            return True
        if time.monotonic() >= give_up:
            break
        time.sleep(context.policy.monitoring.scrape_every / 1_000)
    if age_ms is None:
        return _check(False, f"there is no series {metrics.MODE_CONTROLLER_HEARTBEAT}")
    return _check(
        False, f"the mode controller's last beat was {age_ms:.0f} ms ago, more than {limit_ms} ms"
    )


def withdrawal_completes() -> bool:
    """A small withdrawal that is requested now is posted within the policy's target."""
    context = read_context()
    return _call_venue(context, lambda venue: _withdraw(context, venue))


def payouts_progress() -> bool:
    """Payouts become final, or no guaranteed payout is waiting.

    It is given the policy's target for small withdrawals.
    """
    context = read_context()
    within_s = context.policy.targets.small_withdrawal_within / 1_000
    pause_s = context.policy.monitoring.scrape_every / 1_000
    give_up = time.monotonic() + within_s
    first = _query(context, "sum", metrics.PAYOUTS_FINAL)
    while True:
        waiting = _query(context, "max", metrics.GUARANTEED_DEPTH)
        final = _query(context, "sum", metrics.PAYOUTS_FINAL)
        if waiting == 0 or (final is not None and final > (first or 0)):
            return True
        if time.monotonic() >= give_up:
            return _check(
                False,
                f"{final} payouts final and {waiting} guaranteed ones waiting, "
                f"unchanged for {within_s} s",
            )
        time.sleep(pause_s)


def account_of(deployment: Deployment) -> Account:
    """The customer of experiments: the third on the deployment's list of customers.

    Raises:
        UsageError: There is no list, it cannot be read, or it has too few customers.
    """
    if deployment.customers is None:
        raise UsageError(
            f"{deployment.path} names no customers", remedy="give experiments one of their own"
        )
    return read_accounts(deployment.customers, first=OF_EXPERIMENTS)[-1]


def _require(venue: VenueClient, *operations: str) -> None:
    missing = [name for name in operations if name not in venue.adapter.operations]
    if missing:
        raise UsageError(f"the venue offers no {', '.join(missing)}, which this probe asks for")


async def _withdraw(context: Context, venue: VenueClient) -> bool:
    policy = context.policy
    _require(venue, WITHDRAW, FOLLOW)
    account = account_of(context.deployment)
    if "balances" in venue.adapter.operations:
        balances = await venue.balances(account.customer)
    else:
        balances = account.listed()
    if isinstance(balances, Refusal):
        return _check(False, f"balances were refused: {balances}")
    amount = smallest_sum(policy, balances.balances)
    if amount is None:
        return _check(False, "the customer of experiments has nothing left to withdraw")
    identity = uuid.uuid4()
    request = WithdrawalRequest(
        id=identity,
        network=amount.network,
        asset=amount.asset,
        amount=amount.available,
        destination=keyless_address(identity),
    )
    within_s = policy.targets.small_withdrawal_within / 1_000
    started = time.monotonic()
    answer: WithdrawalReceipt | Withdrawal | Refusal = await venue.withdraw(
        account.customer, request
    )
    venue_id = None if isinstance(answer, Refusal) else answer.venue_id
    while not isinstance(answer, Refusal) and answer.state not in ("posted", "voided", "unknown"):
        if time.monotonic() - started > within_s:
            break
        await asyncio.sleep(FOLLOW_EVERY_S)
        answer = await venue.withdrawal(account.customer, identity, venue_id=venue_id)
    elapsed_s = time.monotonic() - started
    posted = not isinstance(answer, Refusal) and answer.state == "posted" and elapsed_s <= within_s
    return _check(
        posted,
        f"withdrawal {identity} was not posted within {within_s} s, "
        f"but after {elapsed_s:.1f} s: {answer}",
    )


def _call_venue(context: Context, question: Callable[[VenueClient], Awaitable[_Result]]) -> _Result:
    """Run ``question`` against the address that customers use."""
    adapter = load_adapter(context.deployment.venue.speaks, policy=context.policy)

    async def call() -> _Result:
        async with httpx.AsyncClient(
            base_url=context.deployment.urls.api, timeout=ANSWER_S_MAX, trust_env=False
        ) as http:
            return await question(VenueClient(http, adapter))

    return asyncio.run(call())


def _query(context: Context, aggregate: str, metric: str) -> float | None:
    """The ``aggregate`` of a metric in Prometheus now; None if there is no such series.

    The deployment file may map the metric to another expression.

    Raises:
        ServiceError: Prometheus does not answer, or the answer is not one number.
    """
    expression = f"{aggregate}({context.deployment.expression(metric)})"
    url = context.deployment.urls.required("prometheus")
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
        raise ServiceError(
            f"Prometheus at {url} did not answer {expression!r}: {type(error).__name__} {error}"
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ServiceError(
            f"Prometheus at {url} answered {expression!r} with something else than a vector: "
            f"{error!r}"
        ) from error
    if len(values) > 1:
        raise ServiceError(
            f"{expression!r} is {len(values)} series, not one", remedy="aggregate it"
        )
    return values[0] if values else None


def _check(holds: bool, otherwise: str) -> bool:  # noqa: FBT001 -- a verdict and its reason
    """``holds``; if it is False, ``otherwise`` is logged as the reason."""
    if not holds:
        _log.warning("%s", otherwise)
    return holds
