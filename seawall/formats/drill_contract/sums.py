"""The sum that a probe withdraws: small enough not to matter, large enough to be paid."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from seawall.formats.drill_contract.messages import Balance
from seawall.policy import MICRO, Policy


def smallest_sum(policy: Policy, balances: Iterable[Balance]) -> Balance | None:
    """What a probe withdraws, of the first asset with enough of it; None if there is none.

    It is the smallest power of ten of base units that is worth at least one unit of account and is
    no less than the asset's smallest withdrawal. An asset whose whole unit is worth less than one
    unit of account is taken whole.
    """
    for balance in balances:
        asset = policy.assets.get(balance.asset)
        if asset is None:
            continue
        least = policy.withdrawal_min(balance.asset)
        amount = 10**asset.decimals
        while amount < least:
            amount *= 10
        while amount // 10 >= least and policy.value_micro(balance.asset, amount // 10) >= MICRO:
            amount //= 10
        if amount <= int(balance.available):
            return Balance(network=balance.network, asset=balance.asset, available=str(amount))
    return None


def keyless_address(identity: uuid.UUID) -> str:
    """The address that the request ``identity`` of a probe pays to; there is no key to it.

    Nothing else is ever paid there, so what arrives can be counted.
    """
    return "0x" + hashlib.sha256(identity.bytes).hexdigest()[:40]
