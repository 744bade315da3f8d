"""Monitors: from the policy to alert rules, their tests, alert routing, and a pager that writes
down what it receives.

Read ``alerts`` (which alert stands for what), ``rules`` (Prometheus), ``rule_tests`` (promtool),
``routing`` (Alertmanager), ``render`` (files), ``pager`` (the receiver).
"""
