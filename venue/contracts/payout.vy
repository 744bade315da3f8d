# pragma version 0.4.3
"""
@title Payout: a hot wallet, which pays each sequence number at most once, to anybody
@notice Everything but `pay` is in payments.vy.
"""

import payments

initializes: payments
exports: (
    payments.signer,
    payments.window_seconds,
    payments.cap,
    payments.spent,
    payments.generation,
    payments.cancel,
    payments.open_generation,
    payments.paid,
    payments.paid_many,
)


@deploy
def __init__(
    signer_: address,
    window_seconds_: uint256,
    tokens: DynArray[address, 16],
    caps: DynArray[uint256, 16],
):
    payments.__init__(signer_, window_seconds_, tokens, caps)


@external
@payable
def __default__():
    pass


@external
@nonreentrant
def pay(items: DynArray[payments.Item, 200]):
    payments._check_signer()
    generation: uint256 = payments.generation
    window: uint256 = block.timestamp // payments.window_seconds
    for item: payments.Item in items:
        payments._pay(item, generation, window)
