"""The fault in which an asset's issuer pauses it: no payment of it goes through on a network."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.faults.base import Fault, Observation
from seawall.conventions import components, faults
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.answers import Cause
from seawall.ethereum.keys import selector, to_bytes
from seawall.ethereum.rpc import NodeRefusedError, RpcClient, RpcError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

_ANSWER_S_MAX = 2.0
_SET_PAUSED = selector("set_paused(bool)")
_TRANSFER = selector("transfer(address,uint256)")


class AssetPaused(Fault):
    """The issuer of a token stops all transfers of it, as those of USDC and USDT can.

    Its calls are ordinary transactions of the issuer's account, for which a development node signs.
    The probe asks the same node whether a payout wallet could move the token, which is another
    question than whether it is called paused.
    """

    name = faults.ASSET_PAUSED

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self.part = target
        network, _, asset = target.removeprefix("asset.").partition(".")
        declared = deployment.networks.get(network)
        payouts = None if declared is None else declared.payouts
        if declared is None or payouts is None or asset not in payouts.tokens:
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}: the deployment file names no"
                f" token of {asset} on {network}",
                remedy="name its contract under the network's payouts.tokens",
            )
        if declared.issuer is None:
            raise UsageError(
                f"the deployment file names no issuer on {network}, so {asset} cannot be paused",
                remedy="name the account that may call set_paused(bool) of its tokens, and for"
                " which the network's node signs; a sandbox has one",
            )
        self._issuer, self._token = declared.issuer, payouts.tokens[asset]
        self._holder = next(iter(payouts.contracts.values()), declared.issuer)
        self._url = declared.node
        self._node = RpcClient(network=network, url=declared.node, timeout_s=_ANSWER_S_MAX)

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """Every token of every network, as ``asset.<network>.<asset>``; coins have no issuer."""
        return tuple(
            components.asset_target(name, asset)
            for name, network in policy.networks.items()
            for asset in network.assets
            if asset != network.native
        )

    def undo(self) -> tuple[UndoCall, ...]:
        """Let the token move again."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_sendTransaction",
            "params": [self._call(paused=False)],
        }
        return (UndoCall(method="POST", url=self._url, json=body),)

    def apply(self) -> None:
        """Pause the token; it takes effect with the next block."""
        try:
            self._node.call("eth_sendTransaction", self._call(paused=True))
        except RpcError as error:
            raise ServiceError(f"{self.part} was not paused: {error}") from error

    def observe(self) -> Observation:
        """Ask the node, without a transaction, whether a payout wallet could move the token."""
        data = _TRANSFER + to_bytes(self._issuer[2:].rjust(64, "0")) + bytes(32)
        call = {"from": self._holder, "to": self._token, "data": "0x" + data.hex()}
        try:
            self._node.call("eth_call", call, "latest")
        except NodeRefusedError as error:
            if error.cause is Cause.REVERTED:
                return Observation(state="effective", what=f"a transfer of {self.part} reverts")
            return Observation(state="unclear", what=str(error))
        except RpcError as error:
            return Observation(state="unclear", what=str(error))
        return Observation(state="clear", what=f"a transfer of {self.part} would go through")

    def _call(self, *, paused: bool) -> dict[str, str]:
        data = _SET_PAUSED + int(paused).to_bytes(32, "big")
        return {"from": self._issuer, "to": self._token, "data": "0x" + data.hex()}
