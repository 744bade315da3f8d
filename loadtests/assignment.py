"""Who asks for what: requests are given to customers who can afford them and may make them.

Limits of the venue hold for all that one customer asks for within a window. A flood whose customers
exceeded them would be refused in part, and what it plans as small would be large; so each request
goes to a customer whose window has room for it. Where nobody's has, the flood is impossible under
the policy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from loadtests.population import Customer
from seawall.controls.allowance import value_micro_max, window_us
from seawall.errors import UsageError
from seawall.formats.customers import Pool
from seawall.policy import Policy

DRAWS = 16
"""How often a customer is drawn at random before those with the largest balances are tried."""
SLACK_US = 2_000_000
"""How much later than planned a request may be committed.

Within it the order of two requests is open, and so is whether one is still in the other's window.
"""


@dataclass(kw_only=True)
class Wanted:
    """A request that wants a customer; ``at_us`` is in microseconds after the planned zero.

    Over a ``rail``, the balance of ``pool`` pays, and ``destination`` is set.
    """

    pool: Pool
    amount: int
    value_micro: int
    at_us: int
    customer_id: str = ""
    rail: str = ""
    destination: str = ""


class _Windows:
    """What each customer asks for, and whether one more request fits into the limits."""

    def __init__(self, policy: Policy) -> None:
        self._reach_us = window_us(policy) + SLACK_US
        self._value_max = value_micro_max(policy)
        self._number_max = policy.limits.withdrawals_max
        self._small_max = policy.small_value_micro_max()
        self._asked: dict[str, _Asked] = defaultdict(_Asked)

    def admit(self, customer_id: str, request: Wanted) -> bool:
        """Note the request for the customer, if it and all others stay within the limits."""
        asked = self._asked[customer_id]
        position = asked.insert(request.at_us, request.value_micro)
        if self._fit(asked, request.at_us):
            return True
        asked.remove(position)
        return False

    def _fit(self, asked: _Asked, at_us: int) -> bool:
        """Whether each request fits in whose window one at ``at_us`` may be, which is new.

        A request comes after all that may be in its window by then. In the windows of all others
        there is what was there before, and fitted.
        """
        times_us, values_micro = asked.times_us, asked.values_micro
        first = bisect_left(times_us, at_us - SLACK_US)
        last = bisect_right(times_us, at_us + self._reach_us)
        start = end = bisect_left(times_us, times_us[first] - self._reach_us)
        total = 0  # of what is from `start` to before `end`
        for position in range(first, last):
            began_us, ends_us = times_us[position] - self._reach_us, times_us[position] + SLACK_US
            while end < len(times_us) and times_us[end] <= ends_us:
                total += values_micro[end]
                end += 1
            while times_us[start] < began_us:
                total -= values_micro[start]
                start += 1
            too_large = total > self._value_max
            grows = total > self._small_max and values_micro[position] <= self._small_max
            if too_large or grows or end - start > self._number_max:
                return False
        return True


class _Asked:
    """What one customer asks for, in order of time: one who asks often is looked at often."""

    def __init__(self) -> None:
        self.times_us: list[int] = []
        self.values_micro: list[int] = []

    def insert(self, at_us: int, value_micro: int) -> int:
        """Its position."""
        position = bisect_right(self.times_us, at_us)
        self.times_us.insert(position, at_us)
        self.values_micro.insert(position, value_micro)
        return position

    def remove(self, position: int) -> None:
        """Forget the request at ``position``."""
        del self.times_us[position], self.values_micro[position]


class _Holders:
    """Who holds one pool's asset, and what each has left of it."""

    def __init__(self, pool: Pool, customers: Sequence[Customer]) -> None:
        self._able = [each for each in customers if pool in each.balances]
        self._left = [each.balances[pool] for each in self._able]
        self._reach = list(accumulate(self._left))

    def give(self, request: Wanted, windows: _Windows, rng: Random) -> bool:
        """Give the request to one of them; False if nobody can afford it and may make it."""
        for _ in range(DRAWS if self._reach else 0):
            drawn = bisect_right(self._reach, rng.randrange(self._reach[-1]))
            if self._takes(drawn, request, windows):
                return True
        by_balance = sorted(range(len(self._left)), key=lambda each: (-self._left[each], each))
        return any(self._takes(position, request, windows) for position in by_balance)

    def can_afford(self, amount: int) -> bool:
        """Whether one of them has so much left."""
        return max(self._left, default=0) >= amount

    def _takes(self, position: int, request: Wanted, windows: _Windows) -> bool:
        customer_id = self._able[position].customer_id
        if self._left[position] < request.amount or not windows.admit(customer_id, request):
            return False
        self._left[position] -= request.amount
        request.customer_id = customer_id
        return True


def assign(
    policy: Policy, requests: Sequence[Wanted], customers: Sequence[Customer], rng: Random
) -> None:
    """Give each request a customer, drawn in proportion to balance.

    All requests of one customer together do not exceed its balance. Those within one window do not
    exceed the policy's limits, and what is small by itself stays small.

    Raises:
        UsageError: Nobody can afford a request, or nobody may make it.
    """
    holders = {pool: _Holders(pool, customers) for pool in sorted({each.pool for each in requests})}
    windows = _Windows(policy)
    # The largest first: few can afford them, and they fill a window.
    for request in sorted(requests, key=lambda each: (-each.value_micro, each.at_us, each.pool)):
        if not holders[request.pool].give(request, windows, rng):
            raise _impossible(policy, request, holders[request.pool])


def _impossible(policy: Policy, request: Wanted, holders: _Holders) -> UsageError:
    if not holders.can_afford(request.amount):
        return UsageError(
            "no customer can afford a planned request",
            remedy="plan a smaller run, or larger balances",
        )
    limits = policy.limits
    return UsageError(
        "whoever can afford a planned request has used up what limits allow a customer within"
        f" {limits.window} ms: a value of {limits.withdrawal_value_max}, of which"
        f" {limits.small_withdrawal_value_max} is small, in {limits.withdrawals_max} requests",
        remedy="raise limits.small_withdrawal_value_max, withdrawal_value_max or withdrawals_max,"
        " shorten limits.window, or plan a smaller run or more customers",
    )
