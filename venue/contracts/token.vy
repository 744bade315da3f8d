# pragma version 0.4.3
"""
@title Token: the least ERC-20 that a sandbox needs, with one minter
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256

name: public(String[32])
symbol: public(String[16])
decimals: public(uint8)
minter: public(immutable(address))
paused: public(bool)  # an issuer may stop all transfers, as USDC's and USDT's may
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(symbol_: String[16], decimals_: uint8):
    self.name = symbol_
    self.symbol = symbol_
    self.decimals = decimals_
    minter = msg.sender


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "no receiver"
    assert not self.paused, "paused"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, amount=amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
    return True


@external
def mint(receiver: address, amount: uint256):
    assert msg.sender == minter, "not the minter"
    assert receiver != empty(address), "no receiver"
    self.totalSupply += amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=empty(address), receiver=receiver, amount=amount)


@external
def set_paused(paused: bool):
    assert msg.sender == minter, "not the minter"
    self.paused = paused
