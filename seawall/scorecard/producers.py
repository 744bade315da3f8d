"""Who writes each file of a run, so that it can be said whom a check believes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from seawall.scorecard.run import EVERY_FILE

Producer = Literal[
    "game day",
    "generator",
    "prober",
    "runner",
    "control drill",
    "venue",
    "networks",
    "providers",
    "AWS",
    "pager",
    "Prometheus",
]

PRODUCERS: Mapping[Producer, str] = {
    "game day": "the kit's command that runs the drill: what was run, when, and with which files",
    "generator": "the kit's flood: what it planned and sent, what the venue answered, and what the"
    " venue said in the end",
    "prober": "the kit's outside observer: what it asked the venue, the nodes, key services,"
    " endpoints and the ledger's database server, and what they answered",
    "runner": "the kit's experiment: when the fault was applied, seen and undone by its own"
    " observer",
    "control drill": "the kit's drill of one control: what it asked AWS and the signers, and what"
    " they answered",
    "venue": "the venue's own records, read by an adapter or given as files",
    "networks": "the nodes: blocks, payouts and balances, read past the venue",
    "providers": "the providers of rails: their own statements, read past the venue",
    "AWS": "CloudTrail's event history, read past the venue: who had which key sign where",
    "pager": "who receives pages",
    "Prometheus": "the monitors' record of metrics",
}
"""What each is, and what it can say."""

_BY: Mapping[str, tuple[Producer, ...]] = {
    "manifest": ("game day",),
    "policy": ("game day",),
    "timeline": ("game day", "runner"),
    "arrivals": ("generator",),
    "earlier": ("game day",),
    "requests": ("generator",),
    "planned_reads": ("generator",),
    "reads": ("generator",),
    "flood": ("generator",),
    "followed": ("generator", "venue"),
    "journal": ("runner",),
    "probes": ("prober",),
    "pages": ("pager",),
    "withdrawals": ("venue",),
    "slots": ("venue",),
    "signatures": ("venue",),
    "flips": ("venue",),
    "lane_changes": ("venue",),
    "sign_calls": ("AWS",),
    "flow": ("venue",),
    "top_ups": ("venue",),
    "surpluses": ("venue",),
    "decisions": ("venue",),
    "orders": ("venue",),
    "promises": ("venue",),
    "ledger": ("venue",),
    "ledger_faults": ("venue",),
    "payouts": ("networks",),
    "failed_items": ("networks",),
    "unseen": ("networks",),
    "statements": ("providers",),
    "instructions": ("venue",),
    "blocks": ("networks", "prober"),
    "chain_balances": ("networks",),
    "lane_nonces": ("networks",),
    "metrics": ("Prometheus",),
    "neighbour": ("control drill",),
    "segregation": ("control drill",),
}

PRODUCED_BY: Mapping[str, tuple[Producer, ...]] = {EVERY_FILE[name]: by for name, by in _BY.items()}
"""By file of a run: who writes it. What a file says of the venue may still be the venue's word."""
