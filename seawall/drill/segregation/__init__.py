"""The segregation drill: every principal tries every action on every key, in both regions.

Each key also answers a challenge.

In: a stack and the credentials of its principals. Out: a matrix of allowed and denied that must
equal the policy's, cell by cell; `seawall.scorecard` says what it means. Read in this order:
``attempts`` (how an action is tried without harm), ``canary`` (where destructive ones are tried),
``trial`` (all cells), ``control`` (each key answers).
"""
