"""What a reserve's contract does with approvals, as venue/contracts/reserve.vy.

That it is so is checked on anvil in tests/integration/test_simulated_parts.py. What was signed is
computed from the words of the calldata, so that no encoder of the venue's is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import pairwise

from seawall.ethereum.keys import Signature, event_topic, keccak256, recover_address, selector

_STRUCT = (
    "(uint256,bytes16,bytes32,bytes32,address,address,uint256,bytes32,uint256,uint256,address)"
)
PROPOSE = selector(f"propose({_STRUCT},bytes[])")
EXECUTE = selector(f"execute({_STRUCT})")
VETO = selector("veto(bytes16,bytes)")
REVIEW = selector("review(bytes16,bytes32,bytes[])")
CALLS = (PROPOSE, EXECUTE, VETO, REVIEW)
STATE = selector("state(bytes16)")
READY_AT = selector("ready_at(bytes16)")
EXECUTED_EVENT = event_topic("Executed(bytes16,uint256,address,address,uint256)")
_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_APPROVAL_TYPE = keccak256(
    b"Approval(uint256 kind,bytes16 id,string fromBucket,string toBucket,address to,address token,"
    b"uint256 amount,string use,uint256 notBefore,uint256 expires,address requester)"
)
_VETO_TYPE = keccak256(b"Veto(bytes16 id)")
_REVIEW_TYPE = keccak256(b"Review(bytes16 id,string finding)")
_HALF_ORDER = 57896044618658097711785492504343953926418782139537452191302581570759080747168
_WORD, _STRUCT_WORDS, _UNREVIEWED_MAX = 32, 11, 8
ROUTINE, FAST = 0, 1


class Stage(IntEnum):
    """How far an approval has come."""

    UNUSED = 0
    PROPOSED = 1
    EXECUTED = 2
    VETOED = 3
    REVIEWED = 4


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Who approves and how many of them, how long it waits, and what moves by it in a window."""

    approvers: frozenset[str]
    needed: int
    delay_s: int
    window_s: int
    caps: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the deployer declared: the bucket, the routine lane and the fast one."""

    bucket: str
    lanes: tuple[Lane, Lane]
    review_within_s: int


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the contract knows of an approval's id."""

    stage: Stage
    signed: bytes = b""
    proposed_s: int = 0
    ready_s: int = 0


@dataclass(frozen=True, kw_only=True)
class Executed:
    """A transfer that was carried out in a block; ``may_from_s`` by its lane's delay."""

    approval: int
    lane: int
    to: str
    token: str
    amount: int
    at_s: int
    may_from_s: int


@dataclass(kw_only=True)
class ReserveState:
    """What a reserve's contract knows after a block; approvals by their id as a number."""

    known: dict[int, Known] = field(default_factory=dict)
    moved: dict[tuple[int, str, int], int] = field(default_factory=dict)
    unreviewed: tuple[tuple[int, str, int], ...] = ()

    def copy(self) -> ReserveState:
        """The state that the next block begins with."""
        return replace(self, known=dict(self.known), moved=dict(self.moved))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the contract at ``address``, in a block of time ``now_s``.

    ``move`` moves base units out of the contract: token, receiver and amount; false if it cannot.
    ``without`` are safeguards that are switched off.
    """

    address: str
    chain_id: int
    rules: Rules
    state: ReserveState
    now_s: int
    move: Callable[[str, str, int], bool]
    log: Callable[[tuple[str, ...], str], None]
    done: list[Executed]
    without: frozenset[str]

    def run(self, data: bytes) -> bool:
        """Carry out what ``data`` says; False if it reverts."""
        act, body = data[:4], data[4:]
        try:
            if act == PROPOSE:
                return self._propose(body)
            if act == EXECUTE:
                return self._execute(body)
            return self._veto(body) if act == VETO else self._review(body)
        except ValueError:  # a signature that is none
            return False

    def _known(self, approval: int) -> Known:
        return self.state.known.get(approval, Known(stage=Stage.UNUSED))

    def _propose(self, body: bytes) -> bool:
        it = _Approval(body)
        fast = it.kind == 3
        lane, number = self.rules.lanes[FAST if fast else ROUTINE], it.id
        sound = (
            self._known(number).stage is Stage.UNUSED
            and it.kind in (1, 3)
            and it.from_bucket == keccak256(self.rules.bucket.encode())
            and self.now_s < it.expires
            and it.amount > 0
        )
        digest = self._typed(keccak256(_APPROVAL_TYPE + it.words))
        signatures = _signatures(body, _STRUCT_WORDS)
        if not sound or not self._quorum(digest, signatures, lane, it.requester):
            return False
        self.state.known[number] = Known(
            stage=Stage.PROPOSED,
            signed=digest,
            proposed_s=self.now_s,
            ready_s=max(self.now_s + lane.delay_s, it.not_before),
        )
        return True

    def _execute(self, body: bytes) -> bool:
        it = _Approval(body)
        number, state = it.id, self.state
        known, index = self._known(number), FAST if it.kind == 3 else ROUTINE
        lane = self.rules.lanes[index]
        again = known.stage is Stage.EXECUTED and "approval once" in self.without
        early = self.now_s < known.ready_s and "delay of an approval" not in self.without
        if not (known.stage is Stage.PROPOSED or again) or early or self.now_s >= it.expires:
            return False
        if known.signed != self._typed(keccak256(_APPROVAL_TYPE + it.words)):
            return False
        if index == FAST and not self._fast_lane_open():
            return False
        window = (index, it.token, self.now_s // lane.window_s)
        moved = state.moved.get(window, 0) + it.amount
        if moved > lane.caps.get(it.token, 0) and "cap of a lane" not in self.without:
            return False
        if not self.move(it.token, it.to, it.amount):
            return False
        state.moved[window] = moved
        state.known[number] = replace(known, stage=Stage.EXECUTED)
        if index == FAST:
            due = self.now_s + self.rules.review_within_s
            state.unreviewed = (*state.unreviewed, (number, it.requester, due))
        self.done.append(
            Executed(
                approval=number,
                lane=index,
                to=it.to,
                token=it.token,
                amount=it.amount,
                at_s=self.now_s,
                may_from_s=max(known.proposed_s + lane.delay_s, it.not_before),
            )
        )
        self.log(
            (EXECUTED_EVENT, "0x" + it.words[_WORD : 2 * _WORD].hex(), "0x" + _hex(it.to)),
            "0x" + f"{it.kind:064x}" + _hex(it.token) + f"{it.amount:064x}",
        )
        return True

    def _veto(self, body: bytes) -> bool:
        number = _id(body)
        if self._known(number).stage not in (Stage.UNUSED, Stage.PROPOSED):
            return False
        signature = _bytes(body, _number(body, 1))
        who = _who(self._typed(keccak256(_VETO_TYPE + body[:_WORD])), signature)
        if not any(who in lane.approvers for lane in self.rules.lanes):
            return False
        self.state.known[number] = Known(stage=Stage.VETOED)
        return True

    def _review(self, body: bytes) -> bool:
        number = _id(body)
        digest = self._typed(keccak256(_REVIEW_TYPE + body[: 2 * _WORD]))
        routine = self.rules.lanes[ROUTINE]
        for each in self.state.unreviewed:
            if each[0] == number:
                if not self._quorum(digest, _signatures(body, 2), routine, each[1]):
                    return False
                left = tuple(other for other in self.state.unreviewed if other is not each)
                self.state.unreviewed = left
                known = self.state.known[number]
                self.state.known[number] = replace(known, stage=Stage.REVIEWED)
                return True
        return False

    def _fast_lane_open(self) -> bool:
        waiting = self.state.unreviewed
        return len(waiting) < _UNREVIEWED_MAX and all(self.now_s <= due for *_, due in waiting)

    def _typed(self, content: bytes) -> bytes:
        domain = keccak256(
            _DOMAIN_TYPE
            + keccak256(b"Seawall reserve")
            + keccak256(b"1")
            + self.chain_id.to_bytes(_WORD, "big")
            + bytes.fromhex(_hex(self.address))
        )
        return keccak256(b"\x19\x01" + domain + content)

    @staticmethod
    def _quorum(digest: bytes, signatures: list[bytes], lane: Lane, requester: str) -> bool:
        signers = [_who(digest, each) for each in signatures]
        ordered = all(int(a, 16) < int(b, 16) for a, b in pairwise(signers))
        return (
            len(signers) >= lane.needed
            and ordered
            and requester not in signers
            and lane.approvers.issuperset(signers)
        )


class _Approval:
    """The struct at the beginning of a call."""

    def __init__(self, body: bytes) -> None:
        self.words = body[: _STRUCT_WORDS * _WORD]
        self.kind, self.id, self.amount = _number(body, 0), _id(body[_WORD:]), _number(body, 6)
        self.from_bucket = body[2 * _WORD : 3 * _WORD]
        self.to, self.token = _address(body, 4), _address(body, 5)
        self.not_before, self.expires = _number(body, 8), _number(body, 9)
        self.requester = _address(body, 10)


def _number(body: bytes, word: int) -> int:
    return int.from_bytes(body[_WORD * word : _WORD * (word + 1)], "big")


def _address(body: bytes, word: int) -> str:
    return f"0x{_number(body, word):040x}"


def _id(body: bytes) -> int:
    return int.from_bytes(body[:16], "big")


def _hex(address: str) -> str:
    return f"{int(address, 16):064x}"


def _bytes(body: bytes, at: int) -> bytes:
    """The dynamic bytes at an offset."""
    length = int.from_bytes(body[at : at + _WORD], "big")
    return body[at + _WORD : at + _WORD + length]


def _signatures(body: bytes, word: int) -> list[bytes]:
    """The array of bytes whose offset is in that word."""
    start = _number(body, word)
    array = body[start + _WORD :]
    count = int.from_bytes(body[start : start + _WORD], "big")
    return [_bytes(array, _number(array, index)) for index in range(count)]


def _who(digest: bytes, signature: bytes) -> str:
    """Whose signature it is. Raises ValueError if it is none."""
    r, s = (int.from_bytes(signature[at : at + _WORD], "big") for at in (0, _WORD))
    if len(signature) != 65 or s > _HALF_ORDER or signature[64] not in (27, 28):
        raise ValueError("no signature")
    return recover_address(digest, Signature(y_parity=signature[64] - 27, r=r, s=s))
