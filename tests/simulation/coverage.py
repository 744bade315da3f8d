"""What a campaign must have reached to mean anything: edges, crash points, faults.

A campaign that was lucky has shown nothing about what it never met, so it is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from venue.crash_points import CRASH_POINTS, RAIL_CRASH_POINTS

EDGES = (
    *(
        f"withdrawal: {edge}"
        for edge in (
            "none -> reserved",
            "reserved -> slotted",
            "reserved -> voided",
            "reserved -> unknown",
            "slotted -> posted",
            "slotted -> reserved",
            "slotted -> unknown",
            "unknown -> posted",
            "unknown -> reserved",
            "unknown -> voided",
            "reserved -> instructed",
            "instructed -> posted",
            "instructed -> reserved",
            "instructed -> voided",
        )
    ),
    *(
        f"slot: {edge}"
        for edge in (
            "none -> open",
            "open -> open",
            "open -> signed",
            "signed -> broadcast",
            "broadcast -> included",
            "included -> included",
            "included -> final",
        )
    ),
    *(
        f"resolution: {edge}"
        for edge in (
            "none -> requested",
            "requested -> slotted",
            "slotted -> cancelled",
            "slotted -> paid",
            "slotted -> requested",
            "slotted -> disputed",
        )
    ),
    *(
        f"top-up: {edge}"
        for edge in (
            "none -> requested",
            "requested -> slotted",
            "slotted -> posted",
            "slotted -> requested",
            "requested -> taken_back",
        )
    ),
    *(
        f"approval: {edge}"
        for edge in (
            "propose under way",
            "propose done",
            "execute under way",
            "execute done",
            "execute reverted",
            "review under way",
            "review done",
            "veto under way",
            "veto done",
        )
    ),
    *(
        f"instruction: {edge}"
        for edge in (
            "none -> recorded",
            "recorded -> accepted",
            "recorded -> cancelled",
            "accepted -> settled",
            "accepted -> returned",
        )
    ),
    "rail: moved to primary",
    "rail: moved to standby",
    "rail: opened",
    "sweep",
    "asset rests",
    "asset moves again",
    "settler fenced",
)
"""Arrows of docs/withdrawal-states.md, and of what moves beside a withdrawal."""
FAULTS = (
    *(
        f"fault: {fault}"
        for fault in (
            "answer of a rail lost",
            "answer to a commit lost",
            "asset paused",
            "bank of a rail closed",
            "bits hidden",
            "commit lost",
            "connection cut",
            "database restarts",
            "empty block",
            "endpoint lags",
            "endpoint refuses service",
            "endpoint stuck",
            "fee spike",
            "key provider dark",
            "key provider slow",
            "ledger restored",
            "lost ledger goes on",
            "made-up head",
            "message with a signer lost",
            "mode controller silent",
            "nonsense of a rail",
            "nonsense of an endpoint",
            "pool lost a transaction",
            "rail dark (all)",
            "rail dark (payouts)",
            "rail dark (statement)",
            "rail forgets",
            "rail without money",
            "receipt said to be reverted",
            "reorganisation of depth 1",
            "reorganisation of depth 2",
            "reorganisation of depth 3",
            "request to a rail hangs",
            "request to a rail lost",
            "settler frozen",
            "settler killed",
            "settler told to stop",
            "sign log restarts",
            "signer killed",
            "silent endpoint",
            "statement of a rail in pages",
            "statement of a rail late",
            "transaction not passed on",
            "who pays over a rail frozen",
            "who pays over a rail killed",
            "who pays over a rail told to stop",
        )
    ),
    "flip",
    "intake: accepted",
    "intake: replayed",
    "node: already known",
    "node: nonce too low",
    "rail: bad_destination",
    "rail: cancelled",
    "rail: insufficient_funds",
    "rail: too_late",
    "signer: log_unavailable",
    "signer: provider_unavailable",
    "signer: records_unavailable",
    "signer: stale_epoch",
    "signer: stale_mode",
    "signer: throttled",
)
"""Faults as they struck, and what neighbours said because of them."""
CRASHES = tuple(f"crash: {step}, {moment}" for step, moment in (*CRASH_POINTS, *RAIL_CRASH_POINTS))
EXPECTED = frozenset((*EDGES, *FAULTS, *CRASHES))


def missing(reached: Mapping[str, int]) -> list[str]:
    """What should have been reached and was not."""
    return sorted(EXPECTED - {name for name, times in reached.items() if times > 0})


def unknown(reached: Iterable[str]) -> list[str]:
    """What was reached and stands on no list: a new edge, or one that must never be taken."""
    kinds = (
        *("withdrawal: ", "slot: ", "resolution: ", "top-up: ", "instruction: ", "rail: "),
        *("fault: ", "crash: "),
    )
    return sorted(name for name in reached if name.startswith(kinds) and name not in EXPECTED)
