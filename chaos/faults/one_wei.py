"""The fault in which a stranger goes on paying one base unit of each asset into a paying wallet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.faults.base import Observation
from chaos.repeated import RepeatedFault
from seawall.conventions import components, faults
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.keys import event_topic, selector
from seawall.ethereum.rpc import RpcClient, RpcError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

_ANSWER_S_MAX = 2.0
_SEEN_BLOCKS = 3
"""Of so many newest blocks at least one must have each asset's unit.

Blocks of the sandbox take a second, like the steps of the stranger: now and then one has none.
"""
_MINT = selector("mint(address,uint256)")
_TRANSFER = event_topic("Transfer(address,address,uint256)")
_ONE = 1


class OneWei(RepeatedFault):
    """A stranger pays one base unit of each asset into a paying wallet's contract, each second.

    Anyone may send money to an address, so a venue must neither stop at it nor lose count. Nobody
    can take such a payment back: what is undone is that it goes on, and what came stays the
    venue's, as unidentified. The stranger is the issuer of the tokens, whose account is no wallet
    of the venue, and for which a development node signs.

    Its payments are seen in the newest blocks, by who was paid how much, whoever paid.
    """

    name = faults.ONE_WEI
    every_s = 1.0

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self.part = wallet = target.removeprefix(components.contract_target(""))
        network = next(
            (
                name
                for name, each in deployment.networks.items()
                if each.payouts is not None and wallet in each.payouts.contracts
            ),
            None,
        )
        payouts = None if network is None else deployment.networks[network].payouts
        if network is None or payouts is None or components.contract_target(wallet) != target:
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}: the deployment file names no"
                " such contract",
                remedy="name it under a network's payouts.contracts",
            )
        declared = deployment.networks[network]
        if declared.issuer is None:
            raise UsageError(
                f"the deployment file names no issuer on {network}, so nobody there can pay",
                remedy="name an account that has coins, that may call mint(address,uint256) of the"
                " tokens, and for which the network's node signs; a sandbox has one",
            )
        self._stranger = declared.issuer
        self._contract, self._tokens = payouts.contracts[wallet], payouts.tokens
        self._node = RpcClient(network=network, url=declared.node, timeout_s=_ANSWER_S_MAX)
        self._read_at: tuple[str, Observation] | None = None

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The contract of every wallet that pays customers, as ``contract.<wallet>``."""
        return tuple(map(components.contract_target, policy.payout_wallets()))

    def undo(self) -> tuple[UndoCall, ...]:
        """None that a lease could make: the stranger ends with the runner."""
        return ()

    def step(self) -> None:
        """Pay one base unit of each asset; it arrives with the next block."""
        arguments = bytes(12) + bytes.fromhex(self._contract[2:]) + _ONE.to_bytes(32, "big")
        mint = {"data": "0x" + (_MINT + arguments).hex()}
        calls = [{"to": self._contract, "value": hex(_ONE)}]
        calls += [{"to": token} | mint for token in self._tokens.values()]
        for call in calls:
            try:
                self._node.call("eth_sendTransaction", {"from": self._stranger} | call)
            except RpcError as error:
                raise ServiceError(f"{self.part} was not paid: {error}") from error

    def observe(self) -> Observation:
        """Look for one base unit of each asset in the newest blocks, once for each new block."""
        try:
            newest = self._node.call("eth_getBlockByNumber", "latest", True)
            if self._read_at is None or self._read_at[0] != newest["hash"]:
                self._read_at = newest["hash"], self._look(newest)
        except (RpcError, KeyError, TypeError, ValueError) as error:
            return Observation(state="unclear", what=str(error))
        return self._read_at[1]

    def _look(self, newest: Mapping[str, Any]) -> Observation:
        """What the newest blocks show.

        Raises :class:`RpcError`, KeyError, TypeError and ValueError for what no node answers.
        """
        last = int(newest["number"], 16)
        first = max(0, last - _SEEN_BLOCKS + 1)
        blocks = [newest] + [
            self._node.call("eth_getBlockByNumber", hex(number), True)
            for number in range(first, last)
        ]
        found = {
            "coin": any(
                (each["to"] or "").lower() == self._contract and int(each["value"], 16) == _ONE
                for block in blocks
                for each in block["transactions"]
            )
        }
        receiver = "0x" + self._contract[2:].rjust(64, "0")
        for asset, token in self._tokens.items():
            wanted = {
                "fromBlock": hex(first),
                "toBlock": hex(last),
                "address": token,
                "topics": [_TRANSFER, None, receiver],
            }
            logs = self._node.call("eth_getLogs", wanted)
            found[asset] = any(int(log["data"], 16) == _ONE for log in logs)
        where = f"in the blocks {first} to {last}"
        if all(found.values()):
            return Observation(state="effective", what=f"one unit of each asset {where}")
        if not any(found.values()):
            return Observation(state="clear", what=f"no single unit of any asset {where}")
        lacking = ", ".join(asset for asset, there in found.items() if not there)
        return Observation(state="unclear", what=f"no single unit of {lacking} {where}")
