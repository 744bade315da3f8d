"""Deploy the venue's contracts and fund its wallets, on all networks side by side.

    SEAWALL_DEPLOYER_KEY=0x... python -m venue.chain.deploy --plan plan.json --out deployed.json

The plan is ``{"policy": path, "networks": {name: {"chain_id", "rpc"}}, "wallets": {wallet: address
of its key}, "approvers": {role: address of its key}, "custodian": address of its key, "carrier":
address of its key}``. The result is ``{"networks": {name: {"tokens", "payout_contracts",
"reserve_contracts", "cold_contracts", "gas_tank", "carrier"}}}``, the part of `venue.json` that
describes contracts. Without a custodian the money of cold wallets lies at the policy's addresses,
of which nobody here has a key. A carrier is a company of its own: a sandbox has to make it one.

The deployer is the governance address: it sets the caps of each contract and the approvers of each
reserve, once, and mints the sandbox's tokens. All transactions of a network are sent at once,
because the addresses of contracts follow from nonces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from seawall.controls.rebalancing import routes
from seawall.controls.sizing import contract_caps, lane_caps, window_seconds
from seawall.errors import SeawallError, ServiceError, UsageError
from seawall.ethereum.keys import address_of_private_key, sign_locally, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.documents import read_json_model
from seawall.policy import Policy
from seawall.policy.model import ApprovalLane
from seawall.policy_file import load_policy
from venue.chain.transaction import (
    Intent,
    contract_address,
    encode_signed,
    fees,
    signing_hash,
    transaction_hash,
)
from venue.contracts.calls import NATIVE, mint
from venue.contracts.compiler import (
    ReserveLane,
    gas_creation,
    payout_creation,
    reserve_creation,
    token_creation,
)
from venue.ledger.chart import payout_routes

DEPLOYER_KEY_VARIABLE = "SEAWALL_DEPLOYER_KEY"
GAS_MONEY_WEI = 500 * 10**18
"""Gas for a key's address.

Sixteen full batches in flight at fifty times a base fee of 1 gwei reserve about 13 coins.
"""
GAS_TANK_WINDOWS = 2
"""For so many windows of every key at its cap the contract that refills gas money is filled."""
_CREATE_GAS = 4_000_000
_CALL_GAS = 120_000
_TIMEOUT_S = 20.0
_POLL_S = 0.1


class PlannedNetwork(BaseModel):
    """A network to deploy on; ``rpc`` is one endpoint of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: int
    rpc: str


class Plan(BaseModel):
    """Where to deploy; ``wallets`` are addresses of keys by wallet, ``approvers`` by role.

    ``custodian`` is the address of the key that the contracts of cold wallets obey, ``carrier``
    that of the one that the carrier's own contracts do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Path
    networks: dict[str, PlannedNetwork]
    wallets: dict[str, str]
    approvers: dict[str, str]
    custodian: str | None = None
    carrier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Addresses on one network: tokens by asset, contracts by wallet, what pays for gas.

    ``carrier`` is the contract of the carrier.
    """

    tokens: dict[str, str]
    payout_contracts: dict[str, str]
    reserve_contracts: dict[str, str]
    cold_contracts: dict[str, str]
    gas_tank: str | None
    carrier: str | None


@dataclass(kw_only=True)
class _Batch:
    """Transactions of one deployer on one network; nonces follow the order of :meth:`add`."""

    chain_id: int
    secret: bytes
    sender: str
    nonce: int
    base_fee_wei: int
    raws: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, what: str, *, to: str | None, value: int = 0, data: bytes = b"") -> str:
        """Append a transaction.

        Returns:
            The address of the contract for a deployment (``to`` is None), else ``to``.
        """
        intent = Intent(
            chain_id=self.chain_id,
            sender=self.sender,
            nonce=self.nonce,
            to=to,
            value=value,
            data=data,
        )
        fee = fees(
            base_fee_wei=self.base_fee_wei, gas_limit=_CREATE_GAS if to is None else _CALL_GAS
        )
        signature = sign_locally(signing_hash(intent, fee), secret=self.secret)
        self.raws.append((what, encode_signed(intent, fee, signature)))
        self.nonce += 1
        return to or contract_address(self.sender, intent.nonce)


def caps_of(policy: Policy, wallet: str, tokens: dict[str, str]) -> dict[str, int]:
    """What the contract of ``wallet`` may pay per window: base units by token address."""
    return _by_token(policy, wallet, tokens, contract_caps(policy, wallet))


def _by_token(
    policy: Policy, wallet: str, tokens: dict[str, str], amounts: dict[str, int]
) -> dict[str, int]:
    network = policy.networks[policy.wallets[wallet].network]
    return {
        NATIVE if asset == network.native else tokens[asset]: amount
        for asset, amount in amounts.items()
    }


def lane_of(
    policy: Policy,
    wallet: str,
    lane: ApprovalLane,
    *,
    tokens: dict[str, str],
    approvers: dict[str, str],
) -> ReserveLane:
    """``lane`` as the contract of the reserve ``wallet`` has it; the policy declares whole seconds.

    ``tokens`` are addresses by asset, ``approvers`` by role.
    """
    return ReserveLane(
        approvers=[approvers[role] for role in lane.approvers],
        needed=lane.needed,
        delay_s=lane.cooling // 1_000,
        window_s=lane.window // 1_000,
        caps=_by_token(policy, wallet, tokens, lane_caps(policy, wallet, lane)),
    )


def _governed(
    policy: Policy,
    wallet: str,
    *,
    signer: str,
    recipient: str,
    tokens: dict[str, str],
    approvers: dict[str, str],
) -> bytes:
    """Creation code of a reserve, or of a cold wallet, that pays ``recipient`` alone."""
    routine, fast = (
        lane_of(policy, wallet, lane, tokens=tokens, approvers=approvers)
        for lane in (policy.approvals.routine, policy.approvals.emergency)
    )
    return reserve_creation(
        signer=signer,
        recipient=recipient,
        window_seconds=window_seconds(policy),
        caps=caps_of(policy, wallet, tokens),
        bucket=policy.wallets[wallet].bucket,
        routine=routine,
        fast=fast,
        review_within_s=policy.approvals.emergency.review_within // 1_000,
    )


def _compose(
    policy: Policy,
    network: str,
    keys: dict[str, str],
    approvers: dict[str, str],
    batch: _Batch,
    *,
    custodian: str | None,
    carrier: str | None,
) -> Deployed:
    """Add all deployments and funding of ``network`` to ``batch``."""
    declared = policy.networks[network]
    tokens = {
        asset: batch.add(
            f"token {asset}",
            to=None,
            data=token_creation(symbol=asset, decimals=policy.assets[asset].decimals),
        )
        for asset in declared.tokens
    }
    contracts: dict[str, dict[str, str]] = {"hot": {}, "reserve": {}, "cold": {}}
    paying = policy.payout_wallets()
    if custodian is not None:
        batch.add("gas money of the custodian", to=custodian, value=GAS_MONEY_WEI)
    # Hot wallets first, cold ones last: each pays the contract of the one before it.
    for name, wallet in sorted(
        policy.wallets.items(), key=lambda each: [*contracts].index(each[1].wallet_class)
    ):
        if wallet.network != network:
            continue
        holder = (wallet.address if wallet.wallet_class == "cold" else keys[name]) or ""
        if name in paying or wallet.wallet_class == "reserve":
            batch.add(f"gas money of {name}", to=keys[name], value=GAS_MONEY_WEI)
            if name in paying:
                creation = payout_creation(
                    signer=keys[name],
                    window_seconds=window_seconds(policy),
                    caps=caps_of(policy, name, tokens),
                )
            else:
                refilled = policy.refilled_by(name)
                creation = _governed(
                    policy,
                    name,
                    signer=keys[name],
                    recipient=NATIVE if refilled is None else contracts["hot"][refilled],
                    tokens=tokens,
                    approvers=approvers,
                )
            holder = batch.add(f"contract of {name}", to=None, data=creation)
            contracts[wallet.wallet_class][name] = holder
        fed = _fed_by(policy, name) if custodian is not None else None
        if custodian is not None and fed is not None:
            creation = _governed(
                policy,
                name,
                signer=custodian,
                recipient=contracts["reserve"][fed],
                tokens=tokens,
                approvers=approvers,
            )
            holder = batch.add(f"contract of {name}", to=None, data=creation)
            contracts["cold"][name] = holder
        for asset, holding in wallet.holdings.items():
            amount = policy.base_units(asset, holding.target)
            if asset == declared.native:
                batch.add(f"{asset} for {name}", to=holder.lower(), value=amount)
            else:
                batch.add(
                    f"{asset} for {name}", to=tokens[asset], data=mint(holder.lower(), amount)
                )
    return Deployed(
        tokens=tokens,
        payout_contracts=contracts["hot"],
        reserve_contracts=contracts["reserve"],
        cold_contracts=contracts["cold"],
        gas_tank=_gas_tank(policy, network, keys, batch),
        carrier=None if carrier is None else _carrier(policy, network, tokens, carrier, batch),
    )


def _carrier(
    policy: Policy, network: str, tokens: dict[str, str], key: str, batch: _Batch
) -> str | None:
    """Add the carrier's contract, which obeys its ``key``, with what it may have to pay here.

    None if it carries nothing to this network.
    """
    held = {
        tokens[route.asset]: 2 * policy.base_units(route.asset, holding.target)
        for route in routes(policy)
        if route.to_network == network
        for holding in (policy.wallets[route.target].holdings[route.asset],)
    }
    if not held:
        return None
    batch.add("gas money of the carrier", to=key, value=GAS_MONEY_WEI)
    creation = payout_creation(signer=key, window_seconds=window_seconds(policy), caps=held)
    contract = batch.add("contract of the carrier", to=None, data=creation)
    for token, amount in held.items():
        batch.add("money of the carrier", to=token, data=mint(contract.lower(), amount))
    return contract


def _fed_by(policy: Policy, cold: str) -> str | None:
    """The reserve that the wallet ``cold`` feeds; None if it is no cold wallet, or feeds none."""
    reserves = (name for name, each in policy.wallets.items() if each.wallet_class == "reserve")
    return next((name for name in reserves if policy.cold_of(name) == cold), None)


def _gas_tank(policy: Policy, network: str, keys: dict[str, str], batch: _Batch) -> str | None:
    """Add what refills the gas money of the network's lanes; None if the policy wants none."""
    gas, route = policy.treasury.gas.get(network), payout_routes(policy).get(network)
    if gas is None or route is None:
        return None
    native = policy.networks[network].native
    minimum, target, cap = (
        policy.base_units(native, amount) for amount in (gas.minimum, gas.target, gas.cap)
    )
    tank = batch.add(
        "what refills gas money",
        to=None,
        data=gas_creation(
            keys=[keys[wallet] for wallet in route.lanes],
            minimum=minimum,
            target=target,
            cap=cap,
            window_seconds=gas.window // 1_000,
        ),
    )
    batch.add("gas money to refill", to=tank, value=GAS_TANK_WINDOWS * len(route.lanes) * cap)
    return tank


async def deploy_network(
    policy: Policy,
    network: str,
    *,
    rpc: AsyncRpcClient,
    keys: dict[str, str],
    approvers: dict[str, str],
    custodian: str | None = None,
    carrier: str | None = None,
    secret: bytes,
) -> Deployed:
    """Deploy and fund one network; returns when all of it is final.

    Raises :class:`ServiceError` if a transaction fails or takes too long.
    """
    sender = address_of_private_key(secret)
    chain_id = policy.networks[network].chain_id
    await rpc.check_chain(chain_id)
    head = await rpc.head()
    batch = _Batch(
        chain_id=chain_id,
        secret=secret,
        sender=sender,
        nonce=await rpc.pending_nonce(sender),
        base_fee_wei=head.base_fee_wei,
    )
    deployed = _compose(
        policy, network, keys, approvers, batch, custodian=custodian, carrier=carrier
    )
    for _, raw in batch.raws:
        await rpc.broadcast(raw)
    last = 0
    async with asyncio.timeout(_TIMEOUT_S):
        for what, raw in batch.raws:
            # a node is polled
            while (receipt := await rpc.receipt(transaction_hash(raw))) is None:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
            if not receipt.succeeded:
                raise ServiceError(f"on {network}: {what} failed")
            last = max(last, receipt.block_number)
        # Reconciliation reads finalized blocks: if the ledger were opened before the funding is
        # final, it would start with a drift.
        while (await rpc.head("finalized")).number < last:  # noqa: ASYNC110  (a node is polled)
            await asyncio.sleep(_POLL_S)
    return deployed


async def deploy(plan: Plan, *, secret: bytes) -> dict[str, Deployed]:
    """Deploy on every network of ``plan``, side by side.

    Raises :class:`ServiceError`, :class:`UsageError`.
    """
    policy = load_policy(plan.policy)
    missing = sorted(set(policy.signing_wallets()) - set(plan.wallets))
    missing += sorted(set(policy.approver_roles()) - set(plan.approvers))
    if missing:
        raise UsageError(f"the plan lacks the addresses of {', '.join(missing)}")
    keys = {wallet: address.lower() for wallet, address in plan.wallets.items()}
    approvers = {role: address.lower() for role, address in plan.approvers.items()}
    custodian = None if plan.custodian is None else plan.custodian.lower()
    carrier = None if plan.carrier is None else plan.carrier.lower()
    own = sorted(role for role, address in approvers.items() if address in keys.values())
    known = {*keys.values(), *approvers.values()}
    own += ["the custodian"] if custodian in known else []
    own += ["the carrier"] if carrier in known | {custodian} - {None} else []
    if own:
        raise UsageError(
            f"the keys of {', '.join(own)} are keys of others",
            remedy="give each a key of its own: else somebody approves their own transfers",
        )

    async def one(name: str, planned: PlannedNetwork) -> Deployed:
        async with AsyncRpcClient(name, (planned.rpc,)) as rpc:
            try:
                return await deploy_network(
                    policy,
                    name,
                    rpc=rpc,
                    keys=keys,
                    approvers=approvers,
                    custodian=custodian,
                    carrier=carrier,
                    secret=secret,
                )
            except TimeoutError as error:
                raise ServiceError(
                    f"{name} did not finalize the deployment within {_TIMEOUT_S:.0f} s"
                ) from error

    done = await asyncio.gather(*(one(name, planned) for name, planned in plan.networks.items()))
    return dict(zip(plan.networks, done, strict=True))


def _main() -> int:
    parser = argparse.ArgumentParser(description="Deploy and fund the venue's contracts.")
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        plan = read_json_model(arguments.plan, Plan)
        try:
            secret = to_bytes(os.environ[DEPLOYER_KEY_VARIABLE])
        except KeyError as error:
            raise UsageError(f"{DEPLOYER_KEY_VARIABLE} is not set") from error
        except ValueError as error:
            raise UsageError(f"{DEPLOYER_KEY_VARIABLE} is no key in hex: {error}") from error
        deployed = asyncio.run(deploy(plan, secret=secret))
    except SeawallError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    networks = {name: vars(each) for name, each in deployed.items()}
    arguments.out.write_text(json.dumps({"networks": networks}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
