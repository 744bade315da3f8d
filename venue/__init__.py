"""The reference venue.

Only as large as the drills need, correct about money, observable, breakable.

In: stack outputs, a policy, customers' requests. Out: payouts on chain, and records that say why.
"""
