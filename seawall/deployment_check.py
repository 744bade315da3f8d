"""What a deployment allows: which drills can be carried out on it, and what they could claim.

Or that what it names cannot be reached.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seawall.drill_check import FAULTS, ask
from seawall.errors import Problem, ServiceError, UsageError
from seawall.evidence.ports import offers_of
from seawall.formats.drill_contract.loading import load_adapter
from seawall.scorecard.claims import claims_of

if TYPE_CHECKING:
    from seawall.formats.deployment import Deployment
    from seawall.policy import Drill, Policy
    from seawall.policy.drilling import SteadyState

ALWAYS = ("request_withdrawal", "follow_withdrawal")
"""Operations without which nothing can be drilled: a flood, and what became of its requests."""
NEEDS: Mapping[SteadyState, tuple[str, ...]] = {"status_reachable": ("status",)}
"""Operations without which a part of the steady state cannot be read."""
_CONNECT_S_MAX = 5.0
OF_METRICS: tuple[SteadyState, ...] = ("mode_controller_beats", "payouts_progress")
"""Parts of the steady state that are read from Prometheus."""


@dataclass(frozen=True, kw_only=True)
class Possible:
    """A drill on a deployment.

    Attributes:
        drill: Its name.
        problems: Why it cannot be carried out; empty if it can.
        claimed: How many of its checks have the evidence that they need.
        asked: How many belong to it.
        undone: Evidence that is missing for checks without which there is no PASS.
    """

    drill: str
    problems: tuple[str, ...]
    claimed: int
    asked: int
    undone: tuple[str, ...]

    @property
    def can_pass(self) -> bool:
        """Whether it can be carried out, and all that it demands can be claimed."""
        return not self.problems and not self.undone


def possible_drills(deployment: Deployment, policy: Policy) -> tuple[Possible, ...]:
    """Every drill of ``policy`` on ``deployment``.

    Raises :class:`UsageError` for a deployment file or an adapter that is wrong.
    """
    offers = offers_of(deployment, policy)
    operations = load_adapter(deployment.venue.speaks, policy=policy).operations
    faults = _of_faults(deployment)
    everywhere = (*_of_account(deployment, policy), *_of_networks(deployment, policy))
    found = []
    for name, drill in policy.drills.items():
        claims = claims_of(policy, drill, offers=offers, operations=operations)
        missing = {need for claim in claims if claim.demanded for need in claim.missing}
        found.append(
            Possible(
                drill=name,
                problems=(
                    *everywhere,
                    *_of_operations(drill, operations, deployment),
                    *faults.get(name, ()),
                    *_of_restarts(drill, deployment),
                ),
                claimed=sum(1 for claim in claims if not claim.missing),
                asked=len(claims),
                undone=tuple(sorted(missing)),
            )
        )
    return tuple(found)


def require_possible(deployment: Deployment, policy: Policy, drills: Collection[str]) -> None:
    """Raise :class:`UsageError` if one of ``drills`` cannot be carried out on ``deployment``."""
    for each in possible_drills(deployment, policy):
        if each.drill in drills and each.problems:
            raise UsageError(
                f"the drill {each.drill} cannot be carried out on {deployment.stack}:"
                f" {'; '.join(each.problems)}",
                remedy="`seawall contract verify` lists what each drill needs of a deployment",
            )


def require_reachable(deployment: Deployment) -> None:
    """Require that something takes connections wherever a drill on ``deployment`` begins to ask.

    Raises :class:`ServiceError` with every address that cannot be reached, by its path in the file:
    the address itself may hold a key.
    """
    urls = {
        "urls.api": deployment.urls.api,
        "urls.prometheus": deployment.urls.prometheus,
        **{f"networks.{name}.node": each.node for name, each in deployment.networks.items()},
    }
    with ThreadPoolExecutor() as asking:
        found = dict(zip(urls, asking.map(_unreachable, urls.values()), strict=True))
    away = [f"{name} ({why})" for name, why in found.items() if why is not None]
    if away:
        raise ServiceError(
            f"{deployment.path} names what cannot be reached: {', '.join(away)}",
            remedy="correct the address, or start what should be there",
        )


def _unreachable(url: str | None) -> str | None:
    return None if url is None else unreachable(url)


def unreachable(url: str) -> str | None:
    """Why nothing takes connections at ``url``; None if something does."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S_MAX):
            return None
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__


def _of_account(deployment: Deployment, policy: Policy) -> list[str]:
    """That the stack is in another account than the policy says."""
    declared = policy.accounts.get(deployment.stack)
    if None in (declared, deployment.account) or declared == deployment.account:
        return []
    here = f"{deployment.stack} is in the account {deployment.account} here"
    return [f"{here} and in {declared} in the policy"]


def _of_restarts(drill: Drill, deployment: Deployment) -> list[str]:
    if drill.restarts or deployment.kind == "sandbox":
        return []
    return ["it forbids restarts, which only the supervisor of a sandbox can obey"]


def _of_operations(drill: Drill, operations: Collection[str], deployment: Deployment) -> list[str]:
    asked = dict.fromkeys(ALWAYS, ()) | {
        operation: (part,) for part in drill.steady_state for operation in NEEDS.get(part, ())
    }
    found = [
        f"the venue offers no {operation}"
        + (f", which the steady state's {part[0]} asks for" if part else "")
        for operation, part in asked.items()
        if operation not in operations
    ]
    measured = [part for part in drill.steady_state if part in OF_METRICS]
    if measured and deployment.urls.prometheus is None:
        found.append(f"{', '.join(measured)} of the steady state need urls.prometheus")
    return found


def _of_networks(deployment: Deployment, policy: Policy) -> list[str]:
    """Networks that differ from the policy's, and assets that are flooded and seen nowhere."""
    found = []
    for name, network in deployment.networks.items():
        declared = policy.networks.get(name)
        if declared is None:
            found.append(f"the policy has no network {name}")
        elif declared.chain_id != network.chain_id:
            found.append(
                f"{name} is the chain {network.chain_id} here and {declared.chain_id} in the policy"
            )
    if "payouts" in deployment.evidence:
        return found  # a statement may show any of them
    for wallet in policy.payout_wallets().values():
        at = deployment.networks.get(wallet.network)
        seen = None if at is None else at.payouts or at.transfers
        unseen = [
            asset
            for asset in wallet.holdings
            if seen is None
            or (asset != policy.networks[wallet.network].native and asset not in seen.tokens)
        ]
        if unseen:
            found.append(f"payouts of {', '.join(unseen)} on {wallet.network} are seen nowhere")
    return found


def _of_faults(deployment: Deployment) -> dict[str, list[str]]:
    """What stands against the faults of each drill, by the program that would apply them."""
    report = ask(FAULTS, deployment.policy, deployment=deployment.path)
    found: dict[str, list[str]] = {}
    for problem in report.problems:
        drill = problem.path.split(".")[1]
        found.setdefault(drill, []).append(_in_words(problem))
    return found


def _in_words(problem: Problem) -> str:
    return f"{problem.found} ({problem.remedy})" if problem.remedy else problem.found
