# pragma version 0.4.3
"""
@title Gas: pays the keys of a network's lanes what their transactions cost
@notice It holds coins of the operational treasury, and pays the keys that it was deployed for and
    nobody else: a key that has less than the minimum gets what it lacks to the target. No key gets
    more than the cap in one window, so whatever burns a key's gas money, or whoever has the key,
    uses up no more than that. Anybody may call it, for whoever calls changes neither whom it pays
    nor how much; so one key's transaction can refill another that has nothing left.
"""

event Refilled:
    key: indexed(address)
    amount: uint256

governor: public(immutable(address))
minimum: public(immutable(uint256))         # wei
target: public(immutable(uint256))          # wei
cap: public(immutable(uint256))             # wei per key and window
window_seconds: public(immutable(uint256))

is_key: public(HashMap[address, bool])
spent: public(HashMap[address, HashMap[uint256, uint256]])  # key -> window number -> wei


@deploy
def __init__(
    keys: DynArray[address, 16],
    minimum_: uint256,
    target_: uint256,
    cap_: uint256,
    window_seconds_: uint256,
):
    assert minimum_ < target_, "the target is above the minimum"
    assert window_seconds_ > 0, "no window"
    governor = msg.sender
    minimum = minimum_
    target = target_
    cap = cap_
    window_seconds = window_seconds_
    for key: address in keys:
        self.is_key[key] = True


@external
@payable
def __default__():
    pass


@internal
@view
def _refillable(key: address) -> uint256:
    if not self.is_key[key] or key.balance >= minimum:
        return 0
    left: uint256 = cap - self.spent[key][block.timestamp // window_seconds]
    return min(target - key.balance, min(left, self.balance))


@external
@view
def refillable(key: address) -> uint256:
    """
    @notice What a call would pay to a key now, in wei.
    """
    return self._refillable(key)


@external
def refill(key: address):
    amount: uint256 = self._refillable(key)
    assert amount > 0, "nothing to refill"
    self.spent[key][block.timestamp // window_seconds] += amount
    log Refilled(key=key, amount=amount)
    send(key, amount)


@external
def revoke(key: address):
    """
    @notice The governance address ends what a key gets, for good: it was stolen, or another one
        has taken its place. The others go on.
    """
    assert msg.sender == governor, "not the governor"
    self.is_key[key] = False


@external
def close(to: address):
    """
    @notice The governance address takes back what is left, when keys or amounts are to change.
    """
    assert msg.sender == governor, "not the governor"
    send(to, self.balance, gas=100_000)
