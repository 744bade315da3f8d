"""The signer of one region: the only holder of KMS credentials and of the signer's database role.

Intent in, stored signature out. Its log keeps one digest per (chain, address, nonce) for ever,
whoever asks and whatever they say.
"""
