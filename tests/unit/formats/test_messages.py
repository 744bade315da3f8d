"""The messages of the drill contract refuse what only looks like a number or a word."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from seawall.formats.drill_contract import Balance, TicketRequest, WithdrawalRequest

_WITHDRAWAL = {
    "id": "00000000-0000-4000-8000-000000000001",
    "network": "aster",
    "asset": "USDX",
    "amount": "1",
    "destination": "0x" + "ab" * 20,
}


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (WithdrawalRequest, _WITHDRAWAL, "id"),
        (WithdrawalRequest, _WITHDRAWAL, "amount"),
        (Balance, {"network": "aster", "asset": "USDX", "available": "1"}, "available"),
        (TicketRequest, {"kind": "payout", "text": "where is it?"}, "kind"),
    ],
)
def test_a_line_break_at_the_end_is_refused(
    model: type[WithdrawalRequest | Balance | TicketRequest], fields: dict[str, str], field: str
) -> None:
    """In Python's own expressions ``$`` also stands before a last line break."""
    model.model_validate_json(json.dumps(fields))
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(fields | {field: fields[field] + "\n"}))
