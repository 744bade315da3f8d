"""The guard: the only writer of the mode.

It watches committed flow, decides by `seawall.controls`, and flips in one transaction.
"""
