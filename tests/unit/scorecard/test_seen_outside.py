"""What others than the fault's own observer must have seen of it, and what spoils that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaos.faults import known_faults
from seawall.conventions import components, faults, metrics, signing
from seawall.scorecard.checks.fault import fault_landed
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import ask
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.outside import OUTSIDE
from seawall.scorecard.run import Run
from tests.testing.scorecard.faulty import (
    FAULTY,
    asset_paused,
    counterparty_dark,
    prometheus_frozen,
    rpc_dark,
    settler_frozen,
    with_fault,
)
from tests.testing.scorecard.spoiling import Files, Spoil, events, first, probes, us, without
from tests.testing.scorecard.story import APPLIED, CLEARED, EFFECTIVE, ENDS, REVERTED, STARTS, ZERO

Alter = Callable[..., Run]
UNKNOWN = Outcome.UNKNOWN


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_that_others_saw_throughout_has_landed(
    fault: str, altered: Alter, good_run: Run
) -> None:
    finding = fault_landed.answer(Facts(altered(**FAULTY[fault](good_run))))

    assert finding.outcome is Outcome.PASS, finding.reason
    assert "nobody else" not in finding.reason


def test_every_fault_of_the_kit_is_looked_for_by_others_too() -> None:
    """A new one says who else sees it, or that nobody can, which its finding then says."""
    assert known_faults().keys() == OUTSIDE.keys()


def test_a_fault_that_nobody_else_can_see_is_called_one(altered: Alter, good_run: Run) -> None:
    controller = components.process_target(components.MODE_CONTROLLER_PROCESS)
    frozen = with_fault(good_run, faults.PROCESS_FROZEN, controller)
    finding = fault_landed.answer(Facts(altered(**frozen)))

    assert finding.outcome is Outcome.PASS
    assert finding.reason.endswith("seen throughout by its own observer, and by nobody else")


def _series(run: Run, change: Callable[[Any], Any], **labels: str) -> Files:
    """The series with these labels changed; None drops one."""
    changed = (
        change(series) if labels.items() <= series.metric.items() else series
        for series in run.metrics.series
    )
    kept = tuple(series for series in changed if series is not None)
    return {"metrics": run.metrics.model_copy(update={"series": kept})}


def _values(change: Callable[[float, float], float]) -> Callable[[Any], Any]:
    return lambda series: series.model_copy(
        update={"values": tuple((at, change(at - ZERO, value)) for at, value in series.values)}
    )


def _asked(run: Run, change: Callable[[Any], Any], *, side: str, outcome: str) -> Files:
    return _series(run, change, __name__=metrics.RPC_REQUESTS, side=side, outcome=outcome)


def _nonces(run: Run, network: str, change: Callable[[Any], Any]) -> Files:
    return probes(
        run,
        "pending_nonce",
        lambda sample: change(sample) if sample.detail["network"] == network else sample,
    )


def _meanwhile(starts: float, ends: float, **changes: Any) -> Callable[[Any], Any]:
    return lambda sample: (
        replace(sample, **changes) if us(starts) <= sample.at <= us(ends) else sample
    )


def _signer(run: Run, change: Callable[[Any], Any]) -> Files:
    primary = run.policy.regions.primary
    return probes(
        run,
        "signer",
        lambda sample: change(sample) if sample.detail["region"] == primary else sample,
    )


def _result(result: str, *, ok: bool = False) -> Callable[[Any], Any]:
    return lambda sample: replace(sample, ok=ok, detail=sample.detail | {"result": result})


def _between(change: Callable[[Any], Any], starts: float, ends: float) -> Callable[[Any], Any]:
    return lambda sample: change(sample) if us(starts) <= sample.at <= us(ends) else sample


def _nothing(_: Any) -> None:
    """No such sample."""


SIGNERS: dict[str, tuple[Spoil, str]] = {
    "nobody asked the signer": (lambda run: _signer(run, _nothing), "did not ask the signer"),
    "nobody asked the signer for five seconds": (
        lambda run: _signer(run, _between(_nothing, 35, 40)),
        "did not ask the signer",
    ),
    "the signer signed all the time, past the proxy that the injector cuts": (
        lambda run: _signer(run, _result(signing.ANSWERED, ok=True)),
        "was still answered",
    ),
    "the signer signed once": (
        lambda run: _signer(run, _between(_result(signing.ANSWERED, ok=True), 40, 41)),
        "it answered 1 probes in the dark",
    ),
    "the key service refused, and did not hang": (
        lambda run: _signer(run, _between(_result(signing.DENIED), EFFECTIVE, REVERTED)),
        "was still answered by its key service, or refused",
    ),
    "the signer itself was gone": (
        lambda run: _signer(
            run,
            _between(
                lambda sample: replace(
                    sample, detail={"region": sample.detail["region"], "error": "refused"}
                ),
                EFFECTIVE,
                REVERTED,
            ),
        ),
        "was still answered by its key service, or refused",
    ),
    "the signer never signed before": (
        lambda run: _signer(run, _between(_result(signing.SILENT), -5, APPLIED)),
        "never signed for the prober before",
    ),
    "the signer never signed again": (
        lambda run: _signer(run, _between(_result(signing.SILENT), CLEARED, 99)),
        "never signed for the prober after",
    ),
}


@pytest.mark.parametrize("what", SIGNERS)
def test_a_region_that_its_own_signer_did_not_find_dark_was_not_dark(
    what: str, altered: Alter, good_run: Run
) -> None:
    """The injector, its observer and the prober may all look at a proxy that no signer takes."""
    spoil, said = SIGNERS[what]
    finding = fault_landed.answer(Facts(altered(**spoil(good_run))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


ENDPOINTS: dict[str, tuple[Spoil, str]] = {
    "the settler was answered by the endpoint all the time": (
        lambda run: _asked(
            run, _values(lambda at, _: 50 * (at + 2)), side="primary", outcome="answered"
        ),
        "still answered the settler",
    ),
    "the settler never used the endpoint": (
        lambda run: _asked(run, _values(lambda _at, _: 0), side="primary", outcome="silent"),
        "never asked rpc.aster.primary",
    ),
    "the settler's counts of the endpoint are missing": (
        lambda run: _asked(run, _nothing, side="primary", outcome="answered"),
        "lacks counts of the settler of aster",
    ),
    "the prober still reached it": (
        lambda run: probes(run, "rpc", lambda sample: replace(sample, ok=True)),
        "still got answers or refusals",
    ),
}


@pytest.mark.parametrize("what", ENDPOINTS)
def test_an_endpoint_that_its_user_did_not_find_dark_was_not_dark(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, said = ENDPOINTS[what]
    dark = rpc_dark(good_run)
    finding = fault_landed.answer(Facts(altered(**dark | spoil(altered(**dark)))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


PROXY = {"proxy": "exchange.primary"}
PROVIDERS: dict[str, tuple[Spoil, str]] = {
    "the prober reached it": (
        lambda run: probes(run, "provider", lambda sample: replace(sample, ok=True, detail=PROXY)),
        "the prober still got answers or refusals from exchange.primary",
    ),
    "the prober asked another provider": (
        lambda run: probes(
            run, "provider", lambda sample: replace(sample, detail={"proxy": "exchange.standby"})
        ),
        "the prober still got answers or refusals from exchange.primary, or was not asking",
    ),
    "it answered who pays over the rail": (
        lambda run: _series(
            run,
            _values(lambda at, _: 50 * (at - STARTS)),
            rail="exchange",
            side="primary",
            outcome="answered",
        ),
        "exchange.primary still answered the payer",
    ),
    "nobody asked it for a payout": (
        lambda run: _series(
            run, _values(lambda _at, _: 0), rail="exchange", side="primary", outcome="silent"
        ),
        "the payer of exchange never asked exchange.primary",
    ),
    "who pays over the rail did not count": (
        lambda run: _series(run, lambda _: None, rail="exchange", side="standby"),
        "metrics.json lacks counts of the payer of exchange",
    ),
}


@pytest.mark.parametrize("what", PROVIDERS)
def test_a_provider_that_its_payer_did_not_find_dark_was_not_dark(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, said = PROVIDERS[what]
    dark = counterparty_dark(good_run)
    finding = fault_landed.answer(Facts(altered(**dark | spoil(altered(**dark)))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


def test_a_settler_that_does_not_turn_to_the_other_endpoint_is_no_doubt_of_the_fault(
    altered: Alter, good_run: Run
) -> None:
    """It fails what was promised to customers, and that must not look like a fault that missed."""
    dark = rpc_dark(good_run)
    alone = _asked(altered(**dark), _values(lambda _at, _: 0), side="standby", outcome="answered")
    finding = fault_landed.answer(Facts(altered(**dark | alone)))

    assert finding.outcome is Outcome.PASS
    assert "was answered 0 times by standby" in finding.measured


@pytest.mark.parametrize("phase_s", [0.0, 0.25, 0.5, 0.75])
def test_counts_of_before_the_fault_are_not_taken_for_answers_in_it(
    altered: Alter, good_run: Run, phase_s: float
) -> None:
    """Evidence has a count each scrape, which is almost a scrape old itself."""
    scrape_s = good_run.policy.monitoring.scrape_every / 1_000
    grid = [STARTS + phase_s + step * scrape_s for step in range(int((ENDS - STARTS) / scrape_s))]
    scraped = [at - 0.99 * scrape_s for at in grid]
    served = tuple(
        (ZERO + at, float(int(50 * max(0, min(then, EFFECTIVE) - STARTS))))
        for at, then in zip(grid, scraped, strict=True)
    )
    dark = rpc_dark(good_run)
    old = _asked(
        altered(**dark),
        lambda series: series.model_copy(update={"values": served}),
        side="primary",
        outcome="answered",
    )
    finding = fault_landed.answer(Facts(altered(**dark | old)))

    assert finding.outcome is Outcome.PASS, finding.reason


def test_a_fault_too_short_for_the_settlers_counts_is_said_to_be(
    altered: Alter, good_run: Run
) -> None:
    """Nothing that it counted is sure to be of the fault alone."""
    dark = rpc_dark(good_run)
    policy = dark["policy"]
    seldom = policy.monitoring.model_copy(update={"scrape_every": 10_000})
    dark["policy"] = policy.model_copy(update={"monitoring": seldom})
    finding = fault_landed.answer(Facts(altered(**dark)))

    assert finding.outcome is UNKNOWN
    assert "the fault is 0.450 s too short for the counts of the settler" in finding.reason


def test_without_a_count_of_the_settler_the_finding_says_so(altered: Alter, good_run: Run) -> None:
    """A venue of one's own counts nothing, and what is left is told apart from more."""
    dark = rpc_dark(good_run)
    finding = fault_landed.answer(Facts(altered(**dark | {"metrics": good_run.metrics})))

    assert finding.outcome is Outcome.PASS
    assert finding.reason.endswith("(no settler counts what it was asked)")


STILL: dict[str, tuple[Spoil, str]] = {
    "its network was still sent transactions": (
        lambda run: {"probes": run.probes},
        "aster was still sent transactions",
    ),
    "the records have broadcasts of it": (
        lambda run: {"slots": run.slots},
        "records/slots.csv has",
    ),
    "nothing was sent on the other network either": (
        lambda run: _nonces(
            run, "birch", lambda sample: replace(sample, detail=sample.detail | {"nonce": 3})
        ),
        "stillness shows nothing",
    ),
    "nothing was sent before it": (
        lambda run: _nonces(
            run,
            "aster",
            lambda sample: (
                replace(sample, detail=sample.detail | {"nonce": 0})
                if sample.at < us(REVERTED)
                else sample
            ),
        ),
        "before it or after it either",
    ),
    "the nonces were not read for two seconds": (
        lambda run: _nonces(run, "aster", _between(_nothing, 40, 42)),
        "did not read the nonces of aster for 2",
    ),
    "the nonces of its network were never read": (
        lambda run: _nonces(run, "aster", _nothing),
        "did not read the nonces of aster",
    ),
}


@pytest.mark.parametrize("what", STILL)
def test_a_settler_whose_network_went_on_did_not_stand_still(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, said = STILL[what]
    frozen = settler_frozen(good_run)
    source = good_run if what in list(STILL)[:2] else altered(**frozen)
    finding = fault_landed.answer(Facts(altered(**frozen | spoil(source))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


UNWATCHED: dict[str, tuple[Spoil, str]] = {
    "it answered the prober": (
        lambda run: probes(run, "prometheus", lambda sample: replace(sample, ok=True)),
        "it answered",
    ),
    "the prober never asked it": (
        lambda run: probes(run, "prometheus", _nothing),
        "was not asking",
    ),
    "it went on recording": (
        lambda run: _series(
            run,
            lambda series: series.model_copy(
                update={"values": (*series.values, (ZERO + 40.0, 1.0))}
            ),
            __name__=metrics.SCRAPED,
        ),
        "went on recording",
    ),
    "it recorded a second before its observer had counted": (
        lambda run: _series(
            run,
            lambda series: series.model_copy(
                update={"values": (*series.values, (ZERO + REVERTED - 1, 1.0))}
            ),
            __name__=metrics.SCRAPED,
        ),
        "went on recording",
    ),
    "it recorded nothing after it": (
        lambda run: _series(
            run,
            lambda series: series.model_copy(
                update={"values": without(series.values, lambda pair: pair[0] > ZERO + 50)}
            ),
            __name__=metrics.SCRAPED,
        ),
        "nothing after it",
    ),
    "nothing says when it recorded": (
        lambda run: _series(run, _nothing, __name__=metrics.SCRAPED),
        "metrics.json has no sample of up",
    ),
}


def test_what_goes_on_before_the_undo_is_written_down_is_no_doubt(
    altered: Alter, good_run: Run
) -> None:
    """A process that is let go on scrapes at once, milliseconds before the undo is recorded."""
    frozen = prometheus_frozen(good_run)
    frozen |= events(altered(**frozen), held=REVERTED - 0.1)
    early = _series(
        altered(**frozen),
        lambda series: series.model_copy(
            update={"values": (*series.values, (ZERO + REVERTED - 0.02, 1.0))}
        ),
        __name__=metrics.SCRAPED,
    )
    finding = fault_landed.answer(Facts(altered(**frozen | early)))

    assert finding.outcome is Outcome.PASS, finding.reason


@pytest.mark.parametrize("what", UNWATCHED)
def test_a_prometheus_that_went_on_did_not_stand_still(
    what: str, altered: Alter, good_run: Run
) -> None:
    spoil, said = UNWATCHED[what]
    frozen = prometheus_frozen(good_run)
    finding = ask(fault_landed, Facts(altered(**frozen | spoil(altered(**frozen)))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason


def _own(row: Any) -> bool:
    return (row.network, row.asset) == ("aster", "USDX")


MOVED: dict[str, tuple[Spoil, str]] = {
    "one payment went through": (
        lambda run: {"payouts": first(run.payouts, _own, block_timestamp=us(50))},
        "was paid on aster while it should not move",
    ),
    "nothing else was paid there": (
        lambda run: {
            "payouts": without(
                run.payouts, lambda row: row.network == "aster" and row.asset != "USDX"
            )
        },
        "nothing else was paid on aster",
    ),
    "it was never paid before": (
        lambda run: {
            "payouts": without(
                run.payouts, lambda row: _own(row) and row.block_timestamp < us(APPLIED)
            )
        },
        "was paid on aster before it either",
    ),
    "it was never paid again": (
        lambda run: {
            "payouts": without(
                run.payouts, lambda row: _own(row) and row.block_timestamp > us(APPLIED)
            )
        },
        "was paid on aster after it",
    ),
}


@pytest.mark.parametrize("what", MOVED)
def test_an_asset_that_moved_was_not_paused(what: str, altered: Alter, good_run: Run) -> None:
    spoil, said = MOVED[what]
    paused = asset_paused(good_run)
    finding = fault_landed.answer(Facts(altered(**paused | spoil(altered(**paused)))))

    assert finding.outcome is UNKNOWN
    assert said in finding.reason
