"""Faults, probes and experiments for Chaos Toolkit.

In: the policy (``SEAWALL_POLICY``) and the deployment file (``SEAWALL_DEPLOYMENT``). Out: a
journal, and the facts of each fault in the run's timeline. By hand an experiment is run with
``chaos run chaos/experiments/<name>.json``; ``python -m chaos.run`` runs one in a game day.
"""
