"""The signer of one bucket in one region: only it holds that bucket's KMS credentials.

An intent comes in, a stored signature goes out. The sign log keeps one digest per (chain, address,
nonce) for ever; a request with another digest is refused, no matter who sends it. A front per
region passes requests on by wallet.
"""
