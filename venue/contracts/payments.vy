# pragma version 0.4.3
"""
@title Payments: what hot and reserve contracts have in common
@notice The contract holds the money; the signer's address holds only gas and may only call it.
    The bit of a sequence number is set before its money moves, so that neither a repeated batch nor
    a recipient that calls back can be paid twice. If an item fails, its bit is cleared and the
    batch continues. Whatever goes wrong off-chain, no more than the cap of a token leaves in one
    window.
    A sequence number is a generation of the venue's ledger and a number within it, packed. Only
    numbers of the generation in force are paid: a ledger that was restored opens a later one, and
    from then on nothing that was signed before can pay.
"""

struct Item:
    seq: uint256        # generation << 40 | number within it
    id: bytes16         # whose number it is: the venue's own name of the payment, a UUID
    to: address
    token: address      # zero: the native coin
    amount: uint256     # base units

struct Number:
    seq: uint256
    id: bytes16

event Paid:
    seq: indexed(uint256)
    id: indexed(bytes16)
    to: indexed(address)
    token: address
    amount: uint256

event Failed:
    seq: indexed(uint256)
    id: indexed(bytes16)

event Cancelled:
    seq: indexed(uint256)
    id: indexed(bytes16)

event Opened:
    generation: indexed(uint256)

# Bits of a sequence number that are the number within its generation.
NUMBER_BITS: constant(uint256) = 40

# The most gas that the code of a recipient may use.
NATIVE_CALL_GAS: constant(uint256) = 10_000
# Two new storage slots and a log in a token.
TOKEN_CALL_GAS: constant(uint256) = 80_000
# Gas that must be left before an item starts. A call gets at most 63/64 of what is left, and an
# item must never fail because its call had too little gas. Covers the token call, a new account
# (34,000) and the item's own storage and log.
ITEM_GAS_MIN: constant(uint256) = 150_000

signer: public(immutable(address))
window_seconds: public(immutable(uint256))

cap: public(HashMap[address, uint256])  # per token and window; a token without a cap is never paid
spent: public(HashMap[address, HashMap[uint256, uint256]])  # token -> window number -> base units
bits: HashMap[uint256, uint256]
generation: public(uint256)


@deploy
def __init__(
    signer_: address,
    window_seconds_: uint256,
    tokens: DynArray[address, 16],
    caps: DynArray[uint256, 16],
):
    assert len(tokens) == len(caps), "one cap per token"
    assert window_seconds_ > 0, "no window"
    signer = signer_
    window_seconds = window_seconds_
    for index: uint256 in range(len(tokens), bound=16):
        self.cap[tokens[index]] = caps[index]


@internal
@view
def _check_signer():
    assert msg.sender == signer, "not the signer"


@internal
def _send(to: address, token: address, amount: uint256) -> bool:
    """
    @notice Whether the money moved.
    """
    if token == empty(address):
        return raw_call(to, b"", value=amount, gas=NATIVE_CALL_GAS, revert_on_failure=False)
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        token,
        abi_encode(to, amount, method_id=method_id("transfer(address,uint256)")),
        max_outsize=32,
        gas=TOKEN_CALL_GAS,
        revert_on_failure=False,
    )
    # Some tokens return nothing, some return false instead of reverting.
    return success and (len(answer) == 0 or (len(answer) == 32 and convert(answer, uint256) == 1))


@internal
def _pay(item: Item, generation: uint256, window: uint256):
    """
    @notice Pay one item unless its number is used up. The caller has checked who calls, and gives
        the generation in force and the number of the window.
    """
    assert item.seq >> NUMBER_BITS == generation, "another generation"
    word: uint256 = item.seq >> 8
    bit: uint256 = 1 << (item.seq & 255)
    if self.bits[word] & bit != 0:
        return
    assert msg.gas >= ITEM_GAS_MIN, "gas would starve an item"
    # Checked before the call, also for an item that then fails: a token without a cap or an amount
    # above it reverts the whole batch.
    spent: uint256 = self.spent[item.token][window] + item.amount
    assert spent <= self.cap[item.token], "cap of the window"
    self.bits[word] |= bit
    if self._send(item.to, item.token, item.amount):
        self.spent[item.token][window] = spent
        log Paid(seq=item.seq, id=item.id, to=item.to, token=item.token, amount=item.amount)
    else:
        self.bits[word] &= ~bit
        log Failed(seq=item.seq, id=item.id)


@external
@nonreentrant
def cancel(numbers: DynArray[Number, 200]):
    self._check_signer()
    generation: uint256 = self.generation
    for number: Number in numbers:
        # Also of an earlier generation: what was held before a restore is cancelled after it.
        assert number.seq >> NUMBER_BITS <= generation, "a generation to come"
        word: uint256 = number.seq >> 8
        bit: uint256 = 1 << (number.seq & 255)
        # What is resolved stays as it is, and gets no event: one number must not keep the others.
        if self.bits[word] & bit != 0:
            continue
        self.bits[word] |= bit
        log Cancelled(seq=number.seq, id=number.id)


@external
@nonreentrant
def open_generation(generation: uint256):
    self._check_signer()
    # More than one later if an earlier opening was lost with the ledger that asked for it.
    assert generation > self.generation, "not a later generation"
    self.generation = generation
    log Opened(generation=generation)


@internal
@view
def _paid(seq: uint256) -> bool:
    return self.bits[seq >> 8] & (1 << (seq & 255)) != 0


@external
@view
def paid(seq: uint256) -> bool:
    return self._paid(seq)


@external
@view
def paid_many(seqs: DynArray[uint256, 500]) -> DynArray[bool, 500]:
    answers: DynArray[bool, 500] = []
    for seq: uint256 in seqs:
        answers.append(self._paid(seq))
    return answers
