"""Try every cell of the matrix against a live account."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from seawall.drill.segregation.actors import Actors
from seawall.drill.segregation.attempts import HARMFUL, KeyFacts, attempt, facts_of
from seawall.drill.segregation.canary import Canary
from seawall.errors import ServiceError
from seawall.keys.access import DEPLOYER, Cell, Principal
from seawall.scorecard.one_control import Found, Trial

_AT_ONCE = 6
_REPORT_EVERY = 2_000
_ORDER = (
    "kms:PutKeyPolicy",
    "kms:TagResource",
    "kms:UpdateKeyDescription",
    "kms:UpdateAlias",
    "kms:ReplicateKey",
    "kms:UpdatePrimaryRegion",
    "kms:CreateGrant",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
)
"""On a canary: what leaves it whole first, then what stops it, each followed by its undoing."""

KeyInRegion = tuple[str, str]
"""(name of a key, region)."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """How far the drill may go. ``dry_run``: signatures are only asked about.

    ``harm``: what has no harmless form is tried on money keys too.
    """

    dry_run: bool
    harm: bool


def read_facts(
    actors: Actors, keys: Mapping[str, tuple[str, str]], regions: Iterable[str]
) -> dict[KeyInRegion, KeyFacts]:
    """Every key as it is, by place; ``keys`` is (key id, alias) by name.

    Raises :class:`ServiceError` for one that cannot be read.
    """
    found = {}
    for region in regions:
        kms = actors.kms(DEPLOYER, region)
        for name, (key_id, alias) in keys.items():
            try:
                found[name, region] = facts_of(kms, key_id=key_id, alias=alias, region=region)
            except (ClientError, BotoCoreError) as error:
                message = f"the key of {name} cannot be read in {region}: {error}"
                raise ServiceError(
                    message, remedy="bring the stack up with `pulumi up`, then try again"
                ) from error
    return found


def try_all(
    cells: Sequence[Cell],
    *,
    actors: Actors,
    account: str,
    facts: Mapping[KeyInRegion, KeyFacts],
    canaries: Mapping[str, Canary],
    means: Means,
    report: Callable[[str], None],
) -> list[Trial]:
    """A trial for each of ``cells``, in any order."""
    on_canary = [cell for cell in cells if _spared(cell, means)]
    on_key = [cell for cell in cells if not _spared(cell, means)]
    by_principal: dict[Principal, list[Cell]] = defaultdict(list)
    for cell in on_key:
        by_principal[cell.principal].append(cell)
    counter = _Counter(total=len(cells), report=report)

    def of_principal(principal: Principal) -> list[Trial]:
        return [
            counter.count(_on_key(cell, actors, account, facts, means))
            for cell in by_principal[principal]
        ]

    def of_region(region: str) -> list[Trial]:
        there = [cell for cell in on_canary if cell.region == region]
        return [
            counter.count(trial)
            for trial in _on_canary(
                there, canaries[region], actors=actors, account=account, facts=facts, means=means
            )
        ]

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="trial") as pool:
        running = [pool.submit(of_region, region) for region in canaries]
        running += [pool.submit(of_principal, principal) for principal in by_principal]
        return [trial for each in running for trial in each.result()]


def _spared(cell: Cell, means: Means) -> bool:
    """Whether a canary stands in.

    What may be done and changes a key is never done to a money key.
    """
    return (cell.allowed and cell.tried.changes) or (
        cell.tried.action in HARMFUL and not means.harm
    )


def _on_key(
    cell: Cell, actors: Actors, account: str, facts: Mapping[KeyInRegion, KeyFacts], means: Means
) -> Trial:
    key = facts[cell.key.name, cell.region]
    kms = actors.kms(cell.principal, cell.region)
    found, code = attempt(
        kms,
        cell.tried.action,
        key,
        principal_arn=cell.principal.arn(account),
        dry_run=means.dry_run,
    )
    if found is Found.ALLOWED and cell.tried.action in HARMFUL:
        code = f"{code}, {_undo(actors, key)}"
    return Trial(cell=cell, found=found, code=code, on="key")


def _undo(actors: Actors, key: KeyFacts) -> str:
    """Enable a key again that a principal could stop against the policy.

    Returns what happened, in words for the report.
    """
    kms = actors.kms(DEPLOYER, key.region)
    try:
        if kms.describe_key(KeyId=key.key_id)["KeyMetadata"]["KeyState"] != "Disabled":
            kms.cancel_key_deletion(KeyId=key.key_id)
        kms.enable_key(KeyId=key.key_id)
    except (ClientError, BotoCoreError) as error:
        return f"and it could not be undone: {error}; enable {key.key_id} in {key.region} at once"
    return "undone at once"


def _on_canary(
    cells: Sequence[Cell],
    canary: Canary,
    *,
    actors: Actors,
    account: str,
    facts: Mapping[KeyInRegion, KeyFacts],
    means: Means,
) -> Iterable[Trial]:
    grouped: dict[str, dict[Principal, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        grouped[cell.key.name][cell.principal].append(cell)
    for key, by_principal in grouped.items():
        policy = facts[key, canary.facts.region].policy
        carried = canary.carry(policy)
        for principal, theirs in by_principal.items():
            kms = actors.kms(principal, canary.facts.region)
            changed = False
            for cell in sorted(theirs, key=lambda cell: _ORDER.index(cell.tried.action)):
                found, code = attempt(
                    kms,
                    cell.tried.action,
                    carried,
                    principal_arn=principal.arn(account),
                    dry_run=means.dry_run,
                )
                changed |= found is not Found.DENIED
                yield Trial(cell=cell, found=found, code=code, on="canary")
            if changed:  # the next one finds it whole
                carried = canary.carry(policy)


class _Counter:
    """Says now and then how far it is; thousands of cells take a minute."""

    def __init__(self, *, total: int, report: Callable[[str], None]) -> None:
        self._total = total
        self._report = report
        self._done = 0
        self._lock = threading.Lock()

    def count(self, trial: Trial) -> Trial:
        with self._lock:
            self._done += 1
            if self._done % _REPORT_EVERY == 0:
                self._report(f"{self._done:,} of {self._total:,} cells tried")
        return trial
