"""People who ask for money out of the reserve, who approve that, and who look back at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seawall.ethereum.keys import sign_locally
from tests.simulation.loop import nap
from tests.simulation.setting import APPROVALS_NEEDED, HOUSE, HOUSE_ADDRESS, NETWORK
from tests.simulation.sql.approving import standing
from venue.contracts.approvals import Home, Message, recorded, review_message, veto_message

if TYPE_CHECKING:
    from tests.simulation.store import Stored
    from tests.simulation.world import World

_NOBODY = "0x" + "00" * 20
_VETO, _REVIEW = 0.03, 0.4
"""How often in a look somebody vetoes what is not carried out yet, or reviews what was."""


@dataclass(kw_only=True)
class Approvers:
    """All of them, of one world."""

    world: World
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = self.world.stream("approvers")

    async def act(self) -> None:
        """Ask, sign, veto and review until the end of the run; while things fail, ask anew."""
        world, random = self.world, self._random
        while world.faults.approvals:
            await nap(0.3 + 0.5 * random.random())
            if not world.healed and random.random() < world.faults.approvals:
                await self._ask()
            for request in list(world.database.tables["approval_requests"].values()):
                await self._look_at(request)

    async def _ask(self) -> None:
        """A transfer to the hot wallet or to the house, with the signatures of a quorum."""
        world, random, it = self.world, self._random, self.world.setting
        number = UUID(bytes=random.randbytes(16))
        asset, fast = random.choice(sorted(it.tokens)), random.random() < 0.6
        to_hot = random.random() < 0.5
        now_s = int(world.loop.time())
        people = sorted(it.approvers)
        requester = random.choice([_NOBODY, *people])
        request: Stored = {
            "id": number,
            "kind": "fast_transfer" if fast else "transfer",
            "network": NETWORK,
            "from_wallet": it.reserve,
            "to_wallet": it.hot if to_hot else HOUSE,
            "from_bucket": it.bucket,
            "to_bucket": it.bucket if to_hot else it.policy.wallets[HOUSE].bucket,
            "to_class": "hot",
            "to_address": it.contract(it.hot) if to_hot else HOUSE_ADDRESS,
            "asset": asset,
            "token": it.tokens[asset],
            "amount": int(it.lane_cap(asset, fast=fast) * random.uniform(0.1, 0.8)),
            "use": "simulated",
            "not_before": now_s,
            "expires": now_s + random.randint(8, 40),
            "requester": requester,
            "needed_for_review": APPROVALS_NEEDED,
            "at": world.loop.time(),
        }
        signers = random.sample([each for each in people if each != requester], APPROVALS_NEEDED)
        tx = world.database.transaction()
        try:
            await tx.insert("approval_requests", number, request)
            await tx.insert("approvals", number, {"id": number})
            await self._sign(tx, request, "approve", recorded(request).message, signers)
            tx.commit()
        finally:
            tx.end()

    async def _look_at(self, request: Stored) -> None:
        tables, random = self.world.database.tables, self._random
        at = standing(
            request,
            tables["approval_signatures"].values(),
            tables["approval_calls"].values(),
            approved=True,
        )
        people = sorted(self.world.setting.approvers)
        if at.done.isdisjoint({"execute"}) and not at.vetoes and random.random() < _VETO:
            message, signers, act = veto_message(request["id"]), [random.choice(people)], "veto"
        elif (
            (request["kind"], at.reviews) == ("fast_transfer", 0)
            and "execute" in at.done
            and random.random() < _REVIEW
        ):
            others = [each for each in people if each != request["requester"]]
            signers = random.sample(others, APPROVALS_NEEDED)
            message, act = review_message(request["id"], "as agreed"), "review"
        else:
            return
        tx = self.world.database.transaction()
        try:
            await self._sign(tx, request, act, message, signers)
            tx.commit()
        finally:
            tx.end()

    async def _sign(
        self, tx: Any, request: Stored, act: str, message: Message, signers: list[str]
    ) -> None:
        it = self.world.setting
        home = Home(chain_id=it.chain_id, contract=it.contract(it.reserve))
        digest = message.digest(home)
        for address in signers:
            row = {
                "request_id": request["id"],
                "act": act,
                "address": address,
                "signature": sign_locally(digest, secret=it.approvers[address]).recoverable,
                "finding": "as agreed" if act == "review" else None,
            }
            await tx.insert("approval_signatures", (request["id"], act, address), row)
