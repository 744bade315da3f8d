"""The fault in which a network's base fee rises above what transactions in flight may pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from chaos.faults.base import Observation, Parameters
from chaos.repeated import RepeatedFault
from seawall.conventions import components, faults
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.rpc import RpcClient, RpcError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy
from seawall.processes.environment import is_loopback

_ANSWER_S_MAX = 2.0
_SET = "anvil_setNextBlockBaseFeePerGas"
_WEI = 10**9
_ONE_BLOCK_LATE = (7, 8)
"""A block that is not full lowers the base fee by an eighth (EIP-1559)."""


class Market(Parameters):
    """How dear the network becomes.

    Attributes:
        base_fee_gwei: The base fee of each block while the fault is in force.
    """

    base_fee_gwei: Annotated[int, Field(ge=1, le=100_000)]


class FeeSpike(RepeatedFault):
    """The base fee of a network jumps, as on the day of a popular mint, and stays there.

    A development node's own method sets it for the next block, again and again, because the network
    lowers it with each block that is not full. What waits in the pool with a lower maximum is in no
    block meanwhile. It is a level and no factor: an idle network's base fee is a few wei, and what
    transactions may pay does not follow it down there.

    It is seen in the newest block. The undo sets the base fee that was found before.
    """

    name = faults.FEE_SPIKE
    parameters_type = Market
    parameters: Market
    every_s = 0.2

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self.part = target
        network = target.removeprefix(components.fees_target(""))
        declared = deployment.networks.get(network)
        if declared is None or components.fees_target(network) != target:
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}: the deployment file names no"
                " such network",
                remedy=f"there is {', '.join(deployment.networks) or 'none'}",
            )
        if not is_loopback(declared.node):
            raise UsageError(
                f"the node of {network} is not on this machine, and nobody sets the fees of a"
                " network that others use",
                remedy="aim it at a development node; a sandbox has one for each network",
            )
        self._url = declared.node
        self._node = RpcClient(network=network, url=declared.node, timeout_s=_ANSWER_S_MAX)
        self._wei = self.parameters.base_fee_gwei * _WEI
        self._before_wei: int | None = None

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The fee market of every network, as ``fees.<network>``."""
        return tuple(map(components.fees_target, policy.networks))

    def undo(self) -> tuple[UndoCall, ...]:
        """Set the base fee that the network had when this was first asked for.

        Raises:
            ServiceError: The node does not say which that is.
        """
        if self._before_wei is None:
            try:
                self._before_wei = self._base_fee_wei()
            except (RpcError, KeyError, TypeError, ValueError) as error:
                raise ServiceError(f"the base fee of {self.part} is not known: {error}") from error
        body = {"jsonrpc": "2.0", "id": 1, "method": _SET, "params": [hex(self._before_wei)]}
        return (UndoCall(method="POST", url=self._url, json=body),)

    def apply(self) -> None:
        """Look at what the network has now, if nobody has, and then raise it."""
        self.undo()
        super().apply()

    def step(self) -> None:
        """Set the base fee of the next block."""
        try:
            self._node.call(_SET, hex(self._wei))
        except RpcError as error:
            raise ServiceError(f"the base fee of {self.part} was not set: {error}") from error

    def observe(self) -> Observation:
        """Read the base fee of the newest block, which an earlier step may have had set."""
        try:
            found_wei = self._base_fee_wei()
        except (RpcError, KeyError, TypeError, ValueError) as error:
            return Observation(state="unclear", what=str(error))
        what = f"the newest block of {self.part} has a base fee of {found_wei} wei"
        kept, of = _ONE_BLOCK_LATE
        if found_wei * of >= self._wei * kept:
            return Observation(state="effective", what=what)
        return Observation(state="clear" if found_wei * 2 < self._wei else "unclear", what=what)

    def _base_fee_wei(self) -> int:
        """Raises :class:`RpcError`, KeyError, TypeError and ValueError for what no node answers."""
        newest = self._node.call("eth_getBlockByNumber", "latest", False)
        return int(newest["baseFeePerGas"], 16)
