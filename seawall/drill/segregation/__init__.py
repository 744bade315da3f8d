"""Segregation, tried live.

Every principal x every key x both regions x every action, and each key's answer to a challenge.

In: a stack and the credentials of its principals. Out: a matrix of allowed and denied that must
equal the policy's, cell by cell. Read in this order: ``attempts`` (how an action is tried without
harm), ``canary`` (where destructive ones are tried), ``trial`` (all cells), ``control`` (each key
answers), ``judge`` (what it means).
"""
