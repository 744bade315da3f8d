"""Policies with more wallets than the committed one, made for benchmarks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from benchmarks.sizes import BASE, COMMITTED, DERIVED, grown
from seawall.errors import UsageError
from seawall.policy_file import load_policy

TREE = yaml.safe_load((COMMITTED / BASE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("wallets", [9, 10, 21, 100])
def test_a_grown_policy_can_be_kept_and_has_as_many_signing_wallets_as_were_asked_for(
    wallets: int, tmp_path: Path
) -> None:
    (tmp_path / BASE).write_text(
        yaml.safe_dump(grown(TREE, wallets=wallets), sort_keys=False), encoding="utf-8"
    )
    (tmp_path / DERIVED).write_bytes((COMMITTED / DERIVED).read_bytes())
    policy = load_policy(tmp_path / DERIVED)
    assert len(policy.signing_wallets()) == wallets
    assert {network for network in policy.networks if network not in policy.rails} == set()
    assert policy.payout_wallets() == load_policy(COMMITTED / DERIVED).payout_wallets()


def test_no_network_takes_more_wallets_than_a_bucket_may_have_on_it() -> None:
    wallets = grown(TREE, wallets=100)["wallets"].values()
    assert (
        max(Counter((each["bucket"], each["network"], each["class"]) for each in wallets).values())
        == 1
    )


def test_the_committed_tree_is_left_as_it_is() -> None:
    grown(TREE, wallets=50)
    assert yaml.safe_load((COMMITTED / BASE).read_text(encoding="utf-8")) == TREE


def test_fewer_wallets_than_the_policy_has_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(UsageError, match="9 or more"):
        grown(TREE, wallets=8)
