"""The drill contract: the HTTP operations of a venue that drills use, as messages and a client."""

from seawall.formats.drill_contract.client import VenueClient
from seawall.formats.drill_contract.messages import (
    Balance,
    Balances,
    Login,
    Message,
    Quote,
    Refusal,
    RefusalCode,
    Size,
    Status,
    SwapReceipt,
    SwapRequest,
    Ticket,
    TicketRequest,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
    WithdrawalState,
)
from seawall.formats.drill_contract.schema import OPERATIONS, Operation, openapi

__all__ = [
    "OPERATIONS",
    "Balance",
    "Balances",
    "Login",
    "Message",
    "Operation",
    "Quote",
    "Refusal",
    "RefusalCode",
    "Size",
    "Status",
    "SwapReceipt",
    "SwapRequest",
    "Ticket",
    "TicketRequest",
    "VenueClient",
    "Withdrawal",
    "WithdrawalReceipt",
    "WithdrawalRequest",
    "WithdrawalState",
    "openapi",
]
