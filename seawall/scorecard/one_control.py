"""Evidence of the drills of one control: of each a JSON file of its own, and what it holds.

``segregation.json`` has what became of every cell of the matrix that was tried, and of every key
that was challenged. ``noisy-neighbour.json`` has what became of every request for a signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, StrictBool

from seawall.errors import EvidenceError
from seawall.keys import access
from seawall.keys.access import Cell
from seawall.policy import Policy
from seawall.scorecard.rows import Document


class Found(StrEnum):
    """What the account answered."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One cell, tried. ``on``: the key itself, or a canary with the key's own policy.

    ``code`` is the account's word.
    """

    cell: Cell
    found: Found
    code: str
    on: Literal["key", "canary"]

    @property
    def as_expected(self) -> bool:
        """Whether the account does what the policy says."""
        return self.found is (Found.ALLOWED if self.cell.allowed else Found.DENIED)

    def sentence(self) -> str:
        """The cell in words, with what the policy wants."""
        cell = self.cell
        may = {Found.ALLOWED: "may", Found.DENIED: "may not", Found.UNCLEAR: "may or may not"}[
            self.found
        ]
        wanted = "allows" if cell.allowed else "denies"
        return (
            f"{cell.principal.name} {may} {cell.tried.action} with {cell.key.name} in"
            f" {cell.region}; the policy {wanted} it (answered {self.code}, on the {self.on})"
        )

    def line(self) -> dict[str, Any]:
        """For the evidence file."""
        cell = self.cell
        return {
            "principal": cell.principal.name,
            "kind": cell.principal.kind,
            "bucket": cell.principal.bucket,
            "key": cell.key.name,
            "region": cell.region,
            "action": cell.tried.action,
            "expected": "allowed" if cell.allowed else "denied",
            "found": self.found.value,
            "code": self.code,
            "on": self.on,
        }


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A key's answer to a challenge in a region.

    ``recovered`` is None if it did not answer; ``logged``: the signer's log has it.

    ``logged`` is None if it is not known: there is no signer in front of the key, or its log could
    not be read.
    """

    name: str
    region: str
    declared: str
    recovered: str | None
    logged: bool | None
    reason: str
    text: str

    @property
    def proven(self) -> bool:
        """Whether the key that answered is the declared one."""
        return self.recovered == self.declared.lower()

    def line(self) -> dict[str, Any]:
        """For the evidence file."""
        return {**vars(self), "proven": self.proven}


@dataclass(frozen=True, kw_only=True)
class Stray:
    """A call that the fault role made, each harmless where it is allowed.

    ``allowed``: whether it is the one thing that the role is for.
    """

    action: str
    role: str
    allowed: bool
    found: Found
    code: str

    @property
    def as_expected(self) -> bool:
        """Whether the account does what the role is declared to do."""
        return self.found is (Found.ALLOWED if self.allowed else Found.DENIED)

    def sentence(self) -> str:
        """The call in words."""
        return f"the fault role's {self.action} on {self.role} was {self.found} ({self.code})"

    def line(self) -> dict[str, Any]:
        """For the evidence file."""
        return {**asdict(self), "found": self.found.value}


class TriedCell(Document):
    """A line of the matrix in the evidence file; see :class:`Trial`."""

    principal: str
    key: str
    region: str
    action: str
    found: Found
    code: str
    on: Literal["key", "canary"]


class SegregationEvidence(Document):
    """``segregation.json``.

    ``protected`` is a stack whose keys cannot be deleted, ``dry_run`` one where signatures were dry
    runs, ``harm`` one where all money is play money. ``behind`` is null where that is not so.
    ``observed_accounts`` are what AWS said of each principal's credentials, by its name.
    """

    observed_accounts: dict[str, str]
    protected: StrictBool
    dry_run: StrictBool
    harm: StrictBool
    cells: tuple[TriedCell, ...]
    proofs: tuple[Proof, ...]
    beside: tuple[Stray, ...]
    behind: tuple[TriedCell, ...] | None


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried on a stack, held against what the policy declares.

    Attributes:
        account: Of the stack, as the policy says; None if it names none.
        observed_accounts: What AWS said of each principal's credentials, by its name.
        protected: Whether its keys cannot be deleted.
        dry_run: Whether signatures were dry runs.
        harm: Whether everything was tried, because all its money is play money.
        cells: Every cell of the matrix that had to be tried.
        trials: The cells that were tried.
        proofs: Answers of keys.
        cold: Wallets whose key is not in the stack.
        beside: What the fault role tried beside its door.
        behind: The signers' cells once more, while the fault role let them do everything.
    """

    account: str | None
    observed_accounts: Mapping[str, str]
    protected: bool
    dry_run: bool
    harm: bool
    cells: tuple[Cell, ...]
    trials: tuple[Trial, ...]
    proofs: tuple[Proof, ...]
    cold: tuple[str, ...]
    beside: tuple[Stray, ...]
    behind: tuple[Trial, ...]

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Name and region of each key that had to answer."""
        return tuple(dict.fromkeys((cell.key.name, cell.region) for cell in self.cells))

    @property
    def subject(self) -> str:
        """What was drilled, in words."""
        principals = {cell.principal.name for cell in self.cells}
        keys = {cell.key.name for cell in self.cells}
        return f"{len(principals)} principals, {len(keys)} keys, {len(self.cells):,} cells"


def cells_of(policy: Policy, *, protected: bool) -> tuple[Cell, ...]:
    """Every cell that must be tried; ``protected`` as in :class:`SegregationEvidence`."""
    who = (*access.principals(policy), access.DEPLOYER)
    return tuple(access.matrix(policy, protected=protected, who=who))


def tried(policy: Policy, evidence: SegregationEvidence, *, stack: str | None) -> Tried:
    """``evidence`` of ``stack`` with the cells of ``policy``.

    Raises :class:`EvidenceError` for a cell that the policy does not have.
    """
    cells = cells_of(policy, protected=evidence.protected)
    by_place = {
        (cell.principal.name, cell.key.name, cell.region, cell.tried.action): cell for cell in cells
    }
    return Tried(
        account=None if stack is None else policy.accounts.get(stack),
        observed_accounts=evidence.observed_accounts,
        protected=evidence.protected,
        dry_run=evidence.dry_run,
        harm=evidence.harm,
        cells=cells,
        trials=_trials(by_place, evidence.cells),
        proofs=evidence.proofs,
        cold=tuple(name for name, each in policy.wallets.items() if each.wallet_class == "cold"),
        beside=evidence.beside,
        behind=_trials(by_place, evidence.behind or ()),
    )


def _trials(
    by_place: Mapping[tuple[str, str, str, str], Cell], lines: Iterable[TriedCell]
) -> tuple[Trial, ...]:
    found = []
    for line in lines:
        place = line.principal, line.key, line.region, line.action
        if place not in by_place:
            raise EvidenceError(
                f"segregation.json has the cell {' x '.join(place)}, which the policy has not"
            )
        found.append(Trial(cell=by_place[place], found=line.found, code=line.code, on=line.on))
    return tuple(found)


Who = Literal["noisy", "quiet"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a request: ``outcome`` is ``signed``, a refusal's code, or how it failed.

    ``at_s`` is when it was planned, in seconds after the start; ``latency_ms`` counts from then.
    """

    at_s: float
    who: Who
    lag_ms: float
    latency_ms: float
    outcome: str


class NeighbourEvidence(Document):
    """``noisy-neighbour.json``; ``operations_per_s`` is the quota of signatures."""

    region: str
    operations_per_s: int = Field(gt=0)
    wallets: dict[Who, str]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Flooded:
    """How a ``quiet`` bucket was served beside the flood of a ``noisy`` one."""

    region: str
    operations_per_s: int
    noisy: str
    quiet: str
    answers: tuple[Answer, ...]

    @property
    def subject(self) -> str:
        """What was drilled, in words."""
        return f"a flood of {self.noisy} against {self.quiet} at one signer of {self.region}"


def flooded(policy: Policy, evidence: NeighbourEvidence) -> Flooded:
    """``evidence`` with the buckets of ``policy``.

    Raises :class:`EvidenceError` for a wallet that the policy does not have.
    """
    try:
        noisy = policy.wallets[evidence.wallets["noisy"]].bucket
        quiet = policy.wallets[evidence.wallets["quiet"]].bucket
    except KeyError as error:
        raise EvidenceError(f"noisy-neighbour.json names no wallet {error}") from error
    return Flooded(
        region=evidence.region,
        operations_per_s=evidence.operations_per_s,
        noisy=noisy,
        quiet=quiet,
        answers=evidence.answers,
    )
