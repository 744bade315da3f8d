"""Whether a venue does what its adapter says: each operation is tried as a customer would.

One small withdrawal is made, and sent again: what drills rely on most is that a request which got
no answer can be repeated without being paid twice. Nothing else changes anything at the venue.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from seawall.errors import ServiceError
from seawall.formats.customers import Account
from seawall.formats.drill_contract import (
    FOLLOW,
    OPERATIONS,
    WITHDRAW,
    Balance,
    Credentials,
    Refusal,
    VenueClient,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
    keyless_address,
    smallest_sum,
)
from seawall.policy import Policy

Result = Literal["works", "not offered", "not tried", "broken"]
ANSWER_S_MAX = 5.0
SETTLED_S_MAX = 3.0
"""How long a balance may take to show a withdrawal, and a withdrawal to be found."""
LOOK_EVERY_S = 0.25
SPARE = 3
"""The balance must cover this many of the withdrawal, so that no refusal is for want of money."""
WRONG = "seawall-wrong-credential"
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True)
class OperationResult:
    """What came of one operation, and why, in plain words."""

    operation: str
    result: Result
    reason: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long to wait, in seconds: for an answer, for a change to show, between two looks."""

    answer_s: float = ANSWER_S_MAX
    settled_s: float = SETTLED_S_MAX
    look_every_s: float = LOOK_EVERY_S


class _BrokenError(Exception):
    """The venue did not do what the contract asks for; the message says what it did."""


class _NotTriedError(Exception):
    """It could not be tried; the message says why."""


@dataclass(kw_only=True)
class Verification:
    """One look at a venue.

    Attributes:
        client: Asks the venue at the address that customers use.
        policy: Says what a small sum is.
        account: The customer to act as.
        destination: Address that the withdrawal is paid to.
        read_only: Make no withdrawal.
        limits: How long to wait.
    """

    client: VenueClient
    policy: Policy
    account: Account
    destination: str
    read_only: bool = False
    limits: Limits = field(default_factory=Limits)
    _receipt: WithdrawalReceipt | None = None
    _id: uuid.UUID = field(default_factory=uuid.uuid4)

    async def run(self) -> list[OperationResult]:
        """A result for every operation of the contract, in its order.

        Raises :class:`UsageError` if the adapter cannot say what is to be asked.
        """
        tries: dict[str, Callable[[], Awaitable[str]]] = {
            "login": self._login,
            "balances": self._balances,
            WITHDRAW: self._withdraw,
            FOLLOW: self._follow,
            "cancel_withdrawal": self._cancel,
            "quote": self._quote,
            "swap": self._swap,
            "status": self._status,
            "ticket": self._ticket,
        }
        return [await self._tried(each.name, tries[each.name]) for each in OPERATIONS]

    async def _tried(
        self, operation: str, attempt: Callable[[], Awaitable[str]]
    ) -> OperationResult:
        if operation not in self.client.adapter.operations:
            return OperationResult(
                operation=operation,
                result="not offered",
                reason="what the venue speaks does not have it",
            )
        try:
            reason = await attempt()
        except _NotTriedError as error:
            return OperationResult(operation=operation, result="not tried", reason=str(error))
        except (_BrokenError, ServiceError) as error:
            return OperationResult(
                operation=operation, result="broken", reason=_one_line(str(error))
            )
        return OperationResult(operation=operation, result="works", reason=reason)

    async def _within(self, question: Awaitable[_Answer]) -> _Answer:
        """The answer; a venue that hangs is broken, and never holds this up."""
        try:
            async with asyncio.timeout(self.limits.answer_s):
                return await question
        except TimeoutError:
            raise _BrokenError(
                f"it hangs: there was no whole answer within {self.limits.answer_s:g} s"
            ) from None

    async def _login(self) -> str:
        answer = await self._within(self.client.login(self.account.customer))
        if isinstance(answer, Refusal):
            raise _BrokenError(f"the customer cannot log in: {_said(answer)}")
        await self._refuses_strangers("login", {})
        return "a session was opened; a wrong credential is refused"

    async def _balances(self) -> str:
        found = await self._shown_balances()
        pools = [(each.network, each.asset) for each in found]
        if twice := {pool for pool in pools if pools.count(pool) > 1}:
            raise _BrokenError(f"it shows {' on '.join(min(twice)[::-1])} twice")
        await self._refuses_strangers("balances", {})
        return f"{len(found)} balances are shown; a wrong credential is refused"

    async def _shown_balances(self) -> Sequence[Balance]:
        answer = await self._within(self.client.balances(self.account.customer))
        if isinstance(answer, Refusal):
            raise _BrokenError(f"the balances are refused: {_said(answer)}")
        return answer.balances

    async def _refuses_strangers(
        self, operation: str, values: dict[str, str], *, venue_id: str | None = None
    ) -> None:
        """A wrong credential, or a session that nobody opened, must be refused."""
        stranger = Credentials(customer_id=self.account.customer.customer_id, credential=WRONG)
        answer = await self._within(
            self.client.ask(operation, values, customer=stranger, session=WRONG, venue_id=venue_id)
        )
        if not isinstance(answer, Refusal):
            raise _BrokenError("it ignores a wrong credential: it answers as to the customer")
        allowed = {"unauthorized", "not_found"} if operation == FOLLOW else {"unauthorized"}
        if answer.code not in allowed:
            raise _BrokenError(
                f"a wrong credential is refused as {answer.code} and not as unauthorized, so that"
                " no client can know that it must log in"
            )

    # --- the withdrawal
    async def _withdraw(self) -> str:
        if self.read_only:
            raise _NotTriedError("it would move money, and only reading was asked for")
        offers = self.client.adapter.operations
        known = (
            await self._shown_balances() if "balances" in offers else self.account.listed().balances
        )
        amount = smallest_sum(self.policy, [_share(each) for each in known])
        if amount is None:
            raise _NotTriedError(
                f"the customer has no balance that covers {SPARE} times the smallest sum"
            )
        request = WithdrawalRequest(
            id=self._id,
            network=amount.network,
            asset=amount.asset,
            amount=amount.available,
            destination=self.destination,
        )
        before = _of(known, amount)
        first = await self._within(self.client.withdraw(self.account.customer, request))
        if isinstance(first, Refusal):
            raise _BrokenError(f"a small withdrawal is refused: {_said(first)}")
        self._receipt = first
        if first.outcome != "accepted":
            raise _BrokenError("a new withdrawal is answered as a repetition of an earlier one")
        once = None
        if "balances" in offers:
            once = await self._after_first(request, amount, before)
        told = await self._repeated(request, first)
        await self._with_another_amount(request)
        if once is not None:
            await self._unchanged(amount, once)
            told += "; the balance went down once"
        return (
            f"{amount.available} base units of {amount.asset} on {amount.network} were accepted"
            f" as {request.id}; {told}; the same id with another amount is refused"
        )

    async def _after_first(self, request: WithdrawalRequest, pool: Balance, before: int) -> int:
        """The balance once the withdrawal has been taken from it."""
        give_up = time.monotonic() + self.limits.settled_s
        while True:
            left = _of(await self._shown_balances(), pool)
            if before - left >= int(request.amount):
                return left
            if time.monotonic() >= give_up:
                raise _BrokenError(
                    f"it accepts a withdrawal of {request.amount}, and the balance goes from"
                    f" {before} to {left} only"
                )
            await asyncio.sleep(self.limits.look_every_s)

    async def _repeated(self, request: WithdrawalRequest, first: WithdrawalReceipt) -> str:
        again = await self._within(self.client.withdraw(self.account.customer, request))
        if isinstance(again, Refusal):
            raise _BrokenError(
                f"the same request sent again is refused ({_said(again)}), so that a client which"
                " got no answer cannot learn what became of it"
            )
        if again.outcome == "replayed":
            return "sent again, it is known as a repetition"
        if again.venue_id is not None and again.venue_id == first.venue_id:
            return "sent again, it is the same withdrawal"
        raise _BrokenError(
            "it accepts a withdrawal twice: the same request sent again is a new one"
        )

    async def _with_another_amount(self, request: WithdrawalRequest) -> None:
        other = request.model_copy(update={"amount": str(2 * int(request.amount))})
        answer = await self._within(self.client.withdraw(self.account.customer, other))
        if not isinstance(answer, Refusal):
            raise _BrokenError(
                "the same id with another amount is accepted, so that nobody knows which was meant"
            )
        if answer.code != "id_reused":
            raise _BrokenError(
                f"the same id with another amount is refused as {answer.code} and not as id_reused"
            )

    async def _unchanged(self, pool: Balance, once: int) -> None:
        """Repetitions take nothing; looked at twice, because a balance may lag behind."""
        for pause_s in (0.0, self.limits.settled_s / 2):
            await asyncio.sleep(pause_s)
            left = _of(await self._shown_balances(), pool)
            if left < once:
                raise _BrokenError(
                    "it takes a withdrawal twice: the balance went down again when the request was"
                    f" repeated, from {once} to {left}"
                )

    async def _follow(self) -> str:
        unknown = await self._refuses_unknown(self.client.withdrawal)
        if unknown.code != "not_found":
            raise _BrokenError(
                f"a withdrawal that nobody made is refused as {unknown.code} and not as not_found,"
                " so that a lost one would not be noticed"
            )
        if self._receipt is None and not self.read_only:
            raise _NotTriedError("there is no withdrawal to follow")
        if self._receipt is None:
            return "a withdrawal that nobody made is not found; there was none to follow"
        venue_id = self._receipt.venue_id
        give_up = time.monotonic() + self.limits.settled_s
        while True:
            answer = await self._within(
                self.client.withdrawal(self.account.customer, self._id, venue_id=venue_id)
            )
            if isinstance(answer, Withdrawal):
                break
            if time.monotonic() >= give_up:
                lost = (
                    "it loses a withdrawal that it accepted" if answer.code == "not_found" else ""
                )
                raise _BrokenError(f"{lost or 'it cannot be followed'}: {_said(answer)}")
            await asyncio.sleep(self.limits.look_every_s)
        await self._refuses_strangers(FOLLOW, {"id": str(self._id)}, venue_id=venue_id)
        return f"the withdrawal is {answer.state}; a wrong credential is refused"

    async def _refuses_unknown(
        self, ask: Callable[..., Awaitable[Withdrawal | Refusal]]
    ) -> Refusal:
        """A withdrawal that nobody made must be refused."""
        nobodys = uuid.uuid4()
        known = None if self._receipt is None else self._receipt.venue_id
        # Of the same kind as the venue's own, so that it is unknown and not malformed.
        like_it = str(nobodys.int >> 75) if known is not None and known.isdigit() else str(nobodys)
        answer = await self._within(ask(self.account.customer, nobodys, venue_id=like_it))
        if not isinstance(answer, Refusal):
            raise _BrokenError("it finds a withdrawal that nobody made")
        return answer

    async def _cancel(self) -> str:
        refusal = await self._refuses_unknown(self.client.cancel)
        return f"a withdrawal that nobody made cannot be cancelled ({refusal.code})"

    async def _quote(self) -> str:
        pair = next(
            (
                (network, asset, native)
                for network, asset in self.account.pools
                if network in self.policy.networks
                for native in (self.policy.networks[network].native,)
                if native != asset and asset in self.policy.assets
            ),
            None,
        )
        if pair is None:
            raise _NotTriedError("the customer has no pair of assets on one network")
        network, sell, buy = pair
        amount = str(10 ** self.policy.assets[sell].decimals)
        answer = await self._within(
            self.client.quote(
                self.account.customer, network=network, sell=sell, buy=buy, amount=amount
            )
        )
        if isinstance(answer, Refusal):
            raise _BrokenError(f"a quote is refused: {_said(answer)}")
        return f"{sell} has a price in {buy}"

    async def _swap(self) -> str:
        raise _NotTriedError("it would move money")

    async def _status(self) -> str:
        status = await self._within(self.client.status())
        return f"the tier is {status.tier}"

    async def _ticket(self) -> str:
        raise _NotTriedError("a person would have to read it")


def nobodys_address() -> str:
    """An address to which there is no key, another each time."""
    return keyless_address(uuid.uuid4())


def _one_line(text: str) -> str:
    """What a venue said may hold anything; a terminal must not obey it."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def _said(refusal: Refusal) -> str:
    return f"{refusal.code}, {refusal.reason}"


def _share(balance: Balance) -> Balance:
    return balance.model_copy(update={"available": str(int(balance.available) // SPARE)})


def _of(balances: Sequence[Balance], pool: Balance) -> int:
    """The balance of the pool; nothing if it is not shown."""
    return sum(
        int(each.available)
        for each in balances
        if (each.network, each.asset) == (pool.network, pool.asset)
    )
