"""Evidence: what a drill left behind, gathered from three places that do not know of each other.

In: the venue's records (read as auditor), the chains themselves (read from the nodes, past every
proxy), Prometheus. Out: the files of a run directory, which is all that the scorecard reads.
"""
