"""The signer of one region: the only holder of KMS credentials and of the signer's database role.

An intent comes in, a stored signature goes out. The sign log keeps one digest per (chain, address,
nonce) for ever; a request with another digest is refused, no matter who sends it.
"""
