"""Evidence: what a drill left behind, gathered from sources that are independent of each other.

In: the chains (read from the nodes, past every proxy), Prometheus, and the prober, which acts as a
customer. Out: files of a run directory, which is all that the scorecard reads. The venue's own
records are read by its adapter.
"""
