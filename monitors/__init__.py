"""Monitoring, derived from the policy.

``alerts``: which alerts there are, and the Prometheus rules. ``rule_tests``: their promtool tests.
``routing``: Alertmanager. ``render``: writes all of it into ``generated/<policy>/``. ``pager``: the
webhook that records pages. ``indicators`` and ``credential_age``: publish to CloudWatch.
``remote_write``: the part of a Prometheus configuration that feeds Amazon Managed Prometheus.
"""
