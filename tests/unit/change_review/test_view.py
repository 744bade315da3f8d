"""The view for a reviewer: the outcome first, then the money and what to do instead.

A proposal cannot write any of it itself.
"""

from __future__ import annotations

import json

from seawall.change_review.exposure import LiveBalance, money, units
from seawall.change_review.freeze import Freeze, tier_known
from seawall.change_review.view import document, lines, markdown
from tests.testing.proposals import ADDRESS, CALM, POLICY, WALLET_TAGS, judged, step

KEY = "aws:kms/key:Key"
INPUTS = {
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "keyUsage": "SIGN_VERIFY",
    "region": "us-east-1",
    "tags": WALLET_TAGS,
}
MOVED = step(KEY, INPUTS, {**INPUTS, "region": "eu-west-1"}, op="replace")


def maximum() -> str:
    holdings = POLICY.wallets["customer-aster-hot"].holdings
    return money(
        sum(
            POLICY.value_micro(asset, POLICY.base_units(asset, each.maximum))
            for asset, each in holdings.items()
        ),
        "USD",
    )


def test_a_replaced_key_is_explained_in_money_in_a_pull_request() -> None:
    holdings = POLICY.wallets["customer-aster-hot"].holdings
    most = ", ".join(
        "at most "
        f"{units(POLICY.base_units(asset, each.maximum), POLICY.assets[asset].decimals, asset)}, "
        "now unknown"
        for asset, each in holdings.items()
    )

    assert markdown(judged(MOVED)).splitlines() == [
        "### seawall review: REFUSED",
        "",
        "1 of 2 resources of production would change; refused: signing-key-replaced.",
        "",
        "",
        "| | resource | rule | what would change | exposure |",
        "|---|---|---|---|---|",
        (
            "| refused | customer-aster-hot (Key) | signing-key-replaced | it is replaced by "
            "another one; region: us-east-1 -&gt; eu-west-1 "
            f"| customer-aster-hot: at most {maximum()}, now unknown |"
        ),
        "",
        (
            "- **signing-key-replaced**: The address dies with the key: no one can ever sign for "
            "it again, and the money there cannot be moved. "
            "_Instead_: Keep the key. Make a second wallet beside it, move the money by an "
            "approved transfer, retire the first when it is empty; "
            "for a new name add \\`aliases=\\` to the resource. _Source_: Pulumi AWS kms.Key: "
            "customerMasterKeySpec, keyUsage, multiRegion force a new "
            "resource; AWS KMS API Reference, ScheduleKeyDeletion: a deleted key cannot be "
            "recovered."
        ),
        (
            f"- wallet customer-aster-hot, owner treasury-lead: at most {maximum()}; now unknown "
            "(no endpoint was named); "
            f"customer-aster-hot on aster ({ADDRESS}): {most}."
        ),
        "",
        "_Freeze: the tier is normal._",
        "_How to read this and how to override it: docs/runbooks/infrastructure-change.md._",
    ]


def test_the_terminal_names_rule_money_remedy_and_urn() -> None:
    text = "\n".join(lines(judged(MOVED)))

    assert text.startswith(
        "REFUSED  1 of 2 resources of production would change; refused: signing-key-replaced\n"
    )
    assert "\n    region: us-east-1 -> eu-west-1\n" in text
    assert (
        f"\n    exposure: wallet customer-aster-hot, owner treasury-lead: at most {maximum()}; now "
        "unknown (no endpoint was named)\n" in text
    )
    assert "\n    instead: Keep the key." in text
    assert f"\n    urn: {MOVED['urn']}\n" in text


def test_machines_get_every_finding_and_integers_as_text() -> None:
    found = json.loads(json.dumps(document(judged(MOVED))))

    assert (found["outcome"], found["exit_code"], found["changed"]) == ("refused", 1, 1)
    [finding] = found["findings"]
    assert (finding["rule"], finding["status"], finding["urn"]) == (
        "signing-key-replaced",
        "refused",
        MOVED["urn"],
    )
    assert finding["exposure"]["addresses"] == {"customer-aster-hot": ADDRESS}
    assert int(finding["exposure"]["maximum_value_micro"]) > 0
    assert finding["exposure"]["live_value_micro"] is None


def test_an_allowed_change_is_one_sentence() -> None:
    judgement = judged(step(KEY, INPUTS, {**INPUTS, "description": "x"}))

    assert markdown(judgement) == (
        "### seawall review: ALLOWED\n\n"
        "1 of 2 resources of production would change; nothing speaks against it.\n\n\n"
        "_Freeze: the tier is normal._\n"
    )


def test_a_proposal_cannot_write_its_own_review() -> None:
    """Names and values are the author's.

    A table row, a mention, a heading or a tag of theirs must stay text.
    """
    nasty = "x|\n# **APPROVED** by @owner <img src=x> [ok](https://evil.example) `code`"
    text = markdown(judged(step(KEY, INPUTS, {**INPUTS, "region": nasty})))

    [row] = [line for line in text.splitlines() if line.startswith("| refused")]
    assert (
        "x\\| \\# \\*\\*APPROVED\\*\\* by \\@owner &lt;img src=x&gt; "
        "\\[ok\\](https://evil.example) \\`code\\`" in row
    )
    assert row.replace("\\|", "").count("|") == 6
    assert not any(line.startswith("# ") for line in text.splitlines())


def test_a_proposal_cannot_steer_a_terminal() -> None:
    text = "\n".join(
        lines(judged(step(KEY, INPUTS, {**INPUTS, "region": "\x1b[2J\x1b]0;ok\x07\rALLOWED"})))
    )

    assert "region: us-east-1 -> ?[2J?]0;ok??ALLOWED" in text


def test_a_refusal_that_many_resources_share_is_shown_once() -> None:
    frozen = Freeze(sources=(tier_known("protected", reason="a run"),))
    steps = [step("aws:sns/topic:Topic", None, {"name": str(n)}, name=f"t{n}") for n in range(9)]

    text = "\n".join(lines(judged(*steps, freeze=frozen)))

    assert (
        "refused change-freeze: t0 (Topic), t1 (Topic), t2 (Topic), t3 (Topic) and 5 more" in text
    )
    assert text.count("change-freeze:") == 1


def test_what_cannot_be_undone_comes_first_and_the_freeze_last() -> None:
    frozen = Freeze(sources=(tier_known("protected", reason=""),))
    topic = step("aws:sns/topic:Topic", {"name": "t"}, None, name="t")

    marks = [
        line.split(":")[0]
        for line in lines(judged(topic, MOVED, freeze=frozen))
        if line.startswith("refused ")
    ]

    assert marks == [
        "refused signing-key-replaced",
        "refused topic-removed",
        "refused change-freeze",
    ]


def test_the_present_balance_is_shown_or_why_it_is_not_known() -> None:
    judgement = judged(MOVED)
    [finding] = judgement.findings
    assert finding.exposure is not None
    whole = {
        (each.wallet, each.asset): LiveBalance(amount=3 * 10**each.decimals)
        for each in finding.exposure.holdings
    }

    known = finding.exposure.with_live(whole)
    partly = finding.exposure.with_live(
        {**whole, ("customer-aster-hot", "USDX"): LiveBalance(amount=None, reason="it was silent")}
    )

    assert known.live_value_micro == 3 * 2000 * 10**6 + 3 * 10**6
    assert partly.live_value_micro is None
    assert partly.why_unknown == "it was silent"


def test_amounts_are_exact_and_values_are_cut() -> None:
    assert money(1_999_999, "USD") == "1.99 USD"
    assert money(1_680_000_000_000, "USD") == "1,680,000.00 USD"
    assert units(420 * 10**18, 18, "AST") == "420 AST"
    assert units(1, 18, "AST") == "0.000000000000000001 AST"
    assert units(0, 6, "USDX") == "0 USDX"


def test_calm_is_the_default_of_these_tests() -> None:
    assert CALM.state == "clear"
