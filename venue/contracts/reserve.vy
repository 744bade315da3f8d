# pragma version 0.4.3
"""
@title Reserve: a wallet that refills one contract, and does all else only as approvers have signed
@notice `pay` goes to the recipient alone, on the signer's word. Any other transfer, and another
    recipient, needs an approval: a message that names buckets, destination, amount and use, and is
    good for once. Enough approvers sign it (EIP-712), with keys that the venue does not have. The
    contract checks their signatures when it is proposed, and carries it out no earlier than the
    delay of its lane after that, so that each approver has the time to veto it.
    The fast lane moves less, with a shorter delay or none. What it has moved must be reviewed by
    the routine quorum within a deadline; after that the fast lane is closed until it is.
    The signer alone proposes and executes, so that the venue's ledger knows each of these
    transactions by its nonce. Vetoes and reviews move nothing, and anybody may hand them in.
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

# What an approval is good for. The signed message has the number.
TRANSFER: constant(uint256) = 1
RECIPIENT: constant(uint256) = 2        # `to` is the only recipient of `pay` from then on
FAST_TRANSFER: constant(uint256) = 3

# Lanes; an approver's bits say in which ones its signature counts.
ROUTINE: constant(uint256) = 0
FAST: constant(uint256) = 1

# States of an approval's id.
UNUSED: constant(uint256) = 0
PROPOSED: constant(uint256) = 1
EXECUTED: constant(uint256) = 2
VETOED: constant(uint256) = 3
REVIEWED: constant(uint256) = 4         # executed in the fast lane, and reviewed

struct Approval:
    kind: uint256
    id: bytes16             # good for once
    from_bucket: bytes32    # keccak256 of its name, as EIP-712 has texts
    to_bucket: bytes32
    to: address
    token: address          # zero: the native coin
    amount: uint256         # base units
    use: bytes32            # keccak256 of what the money is for
    not_before: uint256     # Unix time, seconds
    expires: uint256        # from this second on it is good for nothing
    requester: address      # whose signature does not count; zero: somebody without a key

struct Lane:
    approvers: DynArray[address, 16]
    needed: uint256
    delay: uint256                  # seconds between proposal and execution
    window: uint256                 # seconds
    caps: DynArray[uint256, 16]     # base units that it moves in one window, by token

struct Unreviewed:
    id: bytes16
    requester: address
    due: uint256

event Proposed:
    id: indexed(bytes16)
    kind: uint256
    ready_at: uint256

event Executed:
    id: indexed(bytes16)
    kind: uint256
    to: indexed(address)
    token: address
    amount: uint256

event Vetoed:
    id: indexed(bytes16)
    by: indexed(address)

event Reviewed:
    id: indexed(bytes16)
    finding: bytes32

DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME: constant(bytes32) = keccak256("Seawall reserve")
VERSION: constant(bytes32) = keccak256("1")
APPROVAL_TYPE: constant(bytes32) = keccak256(
    "Approval(uint256 kind,bytes16 id,string fromBucket,string toBucket,address to,address token,uint256 amount,string use,uint256 notBefore,uint256 expires,address requester)"
)
VETO_TYPE: constant(bytes32) = keccak256("Veto(bytes16 id)")
REVIEW_TYPE: constant(bytes32) = keccak256("Review(bytes16 id,string finding)")
# Of each signature there is a twin with the other s (EIP-2); only the lower one is taken.
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

bucket: public(immutable(bytes32))
review_within: public(immutable(uint256))   # seconds

recipient: public(address)              # the only one that `pay` pays
lanes_of: public(HashMap[address, uint256])     # of an approver: a bit per lane
needed: public(uint256[2])
delay: public(uint256[2])
window: public(uint256[2])
lane_cap: public(HashMap[uint256, HashMap[address, uint256]])   # lane -> token -> base units
moved: public(HashMap[uint256, HashMap[address, HashMap[uint256, uint256]]])  # -> window number
state: public(HashMap[bytes16, uint256])
ready_at: public(HashMap[bytes16, uint256])
proposed: HashMap[bytes16, bytes32]     # id -> digest of what was signed
unreviewed: DynArray[Unreviewed, 8]     # no more than these at a time


@deploy
def __init__(
    signer_: address,
    recipient_: address,
    window_seconds_: uint256,
    tokens: DynArray[address, 16],
    caps: DynArray[uint256, 16],
    bucket_: bytes32,
    routine: Lane,
    fast: Lane,
    review_within_: uint256,
):
    payments.__init__(signer_, window_seconds_, tokens, caps)
    # A reserve that refills nothing pays itself, hence nobody.
    self.recipient = recipient_ if recipient_ != empty(address) else self
    bucket = bucket_
    review_within = review_within_
    self._declare(ROUTINE, routine, tokens)
    self._declare(FAST, fast, tokens)


@internal
def _declare(lane: uint256, declared: Lane, tokens: DynArray[address, 16]):
    assert declared.needed > 1, "one signature is no quorum"
    assert len(declared.approvers) >= declared.needed, "a quorum that is never reached"
    assert declared.window > 0, "no window"
    assert len(declared.caps) == len(tokens), "one cap per token"
    for approver: address in declared.approvers:
        assert approver != empty(address), "nobody approves"
        assert self.lanes_of[approver] & (1 << lane) == 0, "an approver counts once"
        self.lanes_of[approver] |= 1 << lane
    for index: uint256 in range(len(tokens), bound=16):
        self.lane_cap[lane][tokens[index]] = declared.caps[index]
    self.needed[lane] = declared.needed
    self.delay[lane] = declared.delay
    self.window[lane] = declared.window


@external
@payable
def __default__():
    pass


@external
@nonreentrant
def pay(items: DynArray[payments.Item, 200]):
    payments._check_signer()
    recipient: address = self.recipient
    generation: uint256 = payments.generation
    window: uint256 = block.timestamp // payments.window_seconds
    for item: payments.Item in items:
        # What is used up already is passed over, whomever it paid then.
        assert item.to == recipient or payments._paid(item.seq), "not the recipient"
        payments._pay(item, generation, window)


@internal
@view
def _typed(content: bytes32) -> bytes32:
    """
    @notice What is signed for a message: bound to this chain, also after a fork, and this contract.
    """
    domain: bytes32 = keccak256(abi_encode(DOMAIN_TYPE, NAME, VERSION, chain.id, self))
    return keccak256(concat(b"\x19\x01", domain, content))


@internal
@view
def _digest(approval: Approval) -> bytes32:
    return self._typed(keccak256(abi_encode(APPROVAL_TYPE, approval)))


@internal
@pure
def _who(digest: bytes32, signature: Bytes[65]) -> address:
    """
    @notice Whose signature it is; zero for nobody's.
    """
    assert len(signature) == 65, "no signature"
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    s: uint256 = convert(extract32(signature, 32), uint256)
    assert s <= HALF_ORDER, "a signature's twin"
    assert v == 27 or v == 28, "no signature"
    return ecrecover(digest, v, convert(extract32(signature, 0), uint256), s)


@internal
@view
def _check_quorum(
    digest: bytes32, signatures: DynArray[Bytes[65], 16], lane: uint256, requester: address
):
    """
    @notice Each signature is by another approver of the lane than the requester. They come in the
        order of the approvers' addresses, so that nobody can be among them twice.
    """
    assert len(signatures) >= self.needed[lane], "too few signatures"
    last: address = empty(address)
    for signature: Bytes[65] in signatures:
        who: address = self._who(digest, signature)
        assert convert(who, uint160) > convert(last, uint160), "signatures out of order"
        assert self.lanes_of[who] & (1 << lane) != 0, "not an approver"
        assert who != requester, "an approver's own request"
        last = who


@internal
@view
def _fast_lane_open() -> bool:
    if len(self.unreviewed) == 8:
        return False
    for each: Unreviewed in self.unreviewed:
        if block.timestamp > each.due:
            return False
    return True


@external
@nonreentrant
def propose(approval: Approval, signatures: DynArray[Bytes[65], 16]):
    payments._check_signer()
    assert self.state[approval.id] == UNUSED, "used before"
    assert approval.kind in [TRANSFER, RECIPIENT, FAST_TRANSFER], "no such kind"
    assert approval.from_bucket == bucket, "another bucket"
    assert approval.to != empty(address), "no destination"
    assert block.timestamp < approval.expires, "expired"
    if approval.kind == RECIPIENT:
        assert approval.amount == 0 and approval.token == empty(address), "a recipient has no amount"
    else:
        assert approval.amount > 0, "no amount"
    lane: uint256 = FAST if approval.kind == FAST_TRANSFER else ROUTINE
    digest: bytes32 = self._digest(approval)
    self._check_quorum(digest, signatures, lane, approval.requester)
    self.state[approval.id] = PROPOSED
    self.proposed[approval.id] = digest
    ready_at: uint256 = max(block.timestamp + self.delay[lane], approval.not_before)
    self.ready_at[approval.id] = ready_at
    log Proposed(id=approval.id, kind=approval.kind, ready_at=ready_at)


@external
@nonreentrant
def execute(approval: Approval):
    payments._check_signer()
    assert self.state[approval.id] == PROPOSED, "not proposed"
    assert self._digest(approval) == self.proposed[approval.id], "not what was signed"
    assert block.timestamp >= self.ready_at[approval.id], "too early"
    assert block.timestamp < approval.expires, "expired"
    self.state[approval.id] = EXECUTED
    if approval.kind == RECIPIENT:
        self.recipient = approval.to
    else:
        lane: uint256 = ROUTINE
        if approval.kind == FAST_TRANSFER:
            lane = FAST
            assert self._fast_lane_open(), "the fast lane waits for a review"
            self.unreviewed.append(
                Unreviewed(
                    id=approval.id,
                    requester=approval.requester,
                    due=block.timestamp + review_within,
                )
            )
        window: uint256 = block.timestamp // self.window[lane]
        moved: uint256 = self.moved[lane][approval.token][window] + approval.amount
        assert moved <= self.lane_cap[lane][approval.token], "cap of the lane"
        self.moved[lane][approval.token][window] = moved
        assert payments._send(approval.to, approval.token, approval.amount), "it did not move"
    log Executed(
        id=approval.id,
        kind=approval.kind,
        to=approval.to,
        token=approval.token,
        amount=approval.amount,
    )


@external
@nonreentrant
def veto(id: bytes16, signature: Bytes[65]):
    # Also before it is proposed: then it never is.
    assert self.state[id] in [UNUSED, PROPOSED], "too late"
    who: address = self._who(self._typed(keccak256(abi_encode(VETO_TYPE, id))), signature)
    assert self.lanes_of[who] != 0, "not an approver"
    self.state[id] = VETOED
    log Vetoed(id=id, by=who)


@external
@nonreentrant
def review(id: bytes16, finding: bytes32, signatures: DynArray[Bytes[65], 16]):
    digest: bytes32 = self._typed(keccak256(abi_encode(REVIEW_TYPE, id, finding)))
    for index: uint256 in range(len(self.unreviewed), bound=8):
        if self.unreviewed[index].id == id:
            self._check_quorum(digest, signatures, ROUTINE, self.unreviewed[index].requester)
            last: Unreviewed = self.unreviewed.pop()
            if last.id != id:
                self.unreviewed[index] = last
            self.state[id] = REVIEWED
            log Reviewed(id=id, finding=finding)
            return
    assert False, "nothing to review"


@external
@view
def fast_lane_open() -> bool:
    return self._fast_lane_open()


@external
@view
def awaiting_review() -> DynArray[Unreviewed, 8]:
    return self.unreviewed
