"""Metrics of an answer from its time stamps, for sequences with known results."""

from __future__ import annotations

import tracemalloc

import pytest

from engines.measure.timing import RateWindow, Timing, percentile, timing

MS = 1_000_000
START = 5_000 * MS


def at(*milliseconds: float) -> list[int]:
    return [START + round(one * MS) for one in milliseconds]


def test_a_steady_answer() -> None:
    found = timing(START, at(200, 210, 220, 230, 240), prompt_tokens=100)
    assert found.tokens == 5
    assert found.ttft == pytest.approx(0.2)
    assert found.tpot == pytest.approx(0.01)
    assert found.decode_rate == pytest.approx(100)
    assert found.itl_p50 == pytest.approx(0.01)
    assert found.itl_p95 == pytest.approx(0.01)
    assert found.prefill_rate == pytest.approx(500)
    assert found.total == pytest.approx(0.24)


def test_total_is_ttft_and_tpot_for_each_later_token() -> None:
    found = timing(START, at(120, 133, 160, 171, 240))
    assert found.ttft is not None
    assert found.tpot is not None
    assert found.total == pytest.approx(found.ttft + (found.tokens - 1) * found.tpot)


def test_prefill_does_not_change_the_decode_rate() -> None:
    quick = timing(START, at(10, 20, 30))
    slow = timing(START, at(5010, 5020, 5030))
    assert quick.decode_rate == pytest.approx(slow.decode_rate)


def test_a_bundled_first_chunk_does_not_inflate_the_rate() -> None:
    found = timing(START, at(100, 100, 100, 110, 120))
    assert found.decode_rate == pytest.approx(100)


def test_itl_is_between_chunks_and_the_rate_counts_tokens() -> None:
    found = timing(START, at(100, 120, 120, 140, 140))
    assert found.itl_p50 == pytest.approx(0.02)
    assert found.tpot == pytest.approx(0.01)


def test_one_stall_shows_in_p95_and_not_in_p50() -> None:
    stamps = [10.0 * n for n in range(1, 11)]
    stamps += [stamps[-1] + 500]
    found = timing(START, at(*stamps))
    assert found.itl_p50 == pytest.approx(0.01)
    assert found.itl_p95 == pytest.approx(0.01 + 0.55 * 0.49)


def test_cached_tokens_do_not_count_as_prefill() -> None:
    assert timing(START, at(100), 100, cached_tokens=60).prefill_rate == pytest.approx(400)
    assert timing(START, at(100), 100, cached_tokens=100).prefill_rate is None
    assert timing(START, at(100), 100, cached_tokens=None).prefill_rate == pytest.approx(1000)


def test_without_tokens_there_are_no_metrics() -> None:
    assert timing(START, []) == Timing()


def test_one_token_has_a_ttft_and_no_rate() -> None:
    found = timing(START, at(30))
    assert found.tokens == 1
    assert found.ttft == pytest.approx(0.03)
    assert found.total == pytest.approx(0.03)
    assert (found.tpot, found.decode_rate, found.itl_p50, found.itl_p95) == (None, None, None, None)


def test_one_chunk_of_many_tokens_has_no_rate_either() -> None:
    found = timing(START, at(30, 30, 30))
    assert (found.tokens, found.decode_rate) == (3, None)


@pytest.mark.parametrize("stamps", [at(-1), at(20, 10), at(10, 30, 20)])
def test_stamps_out_of_order_give_no_metrics(stamps: list[int]) -> None:
    assert timing(START, stamps, 10) == Timing(tokens=len(stamps))


def test_percentiles_agree_with_numpy() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    assert [percentile(values, p) for p in (0, 50, 95, 100)] == pytest.approx([1.0, 3.0, 7.4, 8.0])
    assert percentile([7.0], 95) == 7.0


@pytest.mark.parametrize(("values", "percent"), [([], 50.0), ([1.0], -1.0), ([1.0], 101.0)])
def test_invalid_percentiles_are_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="values"):
        percentile(values, percent)


# --- the live rate ------------------------------------------------------------------------------------


def received(*milliseconds: float, late: float = 0) -> RateWindow:
    """Return a window with tokens of these times, each received `late` milliseconds after it was made."""
    window = RateWindow()
    for one in milliseconds:
        window.add(at(one), at(one + late)[0])
    return window


def test_the_live_rate_of_a_steady_answer() -> None:
    window = RateWindow()
    for n in range(300):
        [now] = at(10 * n)
        window.add([now], now)
        if n in (5, 50, 99, 100, 101, 299):
            assert window.rate(now) == pytest.approx(100)


def test_one_token_every_two_seconds_has_a_rate_at_every_moment() -> None:
    """The mean of the last tokens, without a jump to 0 between them."""
    window = received(*(2000.0 * n for n in range(20)))
    for later in (0, 500, 1000, 1999):
        assert window.rate(at(38_000 + later)[0]) == pytest.approx(0.5)


def test_tokens_that_a_busy_screen_received_late_count() -> None:
    window = received(*range(0, 2000, 10), late=7000)
    assert window.rate(at(1990 + 7000)[0]) == pytest.approx(100)


def test_an_answer_of_four_milliseconds() -> None:
    window = RateWindow()
    window.add(at(*(0.2 * n for n in range(20))), at(4)[0])
    assert window.rate(at(4)[0]) == pytest.approx(5000)


def test_a_fast_engine_s_pauses_between_batches_are_no_stall() -> None:
    window = RateWindow()
    window.add(at(*(0.2 * n for n in range(1000))), at(200)[0])
    assert window.rate(at(260)[0]) == pytest.approx(5000)
    assert window.rate(at(400)[0]) == pytest.approx(2500, rel=0.01), "over its own time, not over a second"


def test_the_live_rate_falls_to_zero_without_tokens() -> None:
    window = received(*range(0, 2000, 10))
    rates = [window.rate(at(1990 + later)[0]) for later in (0, 250, 500, 750, 1000, 5000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(100)
    assert rates[-2:] == [0, 0]


def test_the_first_chunk_includes_the_prefill_and_does_not_count() -> None:
    window = RateWindow()
    window.add(at(0, 0, 0, 0), at(0)[0])
    assert window.rate(at(0)[0]) == 0
    assert window.rate(at(100)[0]) == 0
    window.add(at(100), at(100)[0])
    assert window.rate(at(100)[0]) == pytest.approx(10)


def test_a_new_answer_starts_with_an_empty_window() -> None:
    window = received(0, 10, 20)
    window.clear()
    assert window.rate(at(20)[0]) == 0


def test_a_reading_before_the_last_stamp_is_not_an_error() -> None:
    assert received(50).rate(at(0)[0]) == 0


def test_old_stamps_are_dropped() -> None:
    window, stamps = RateWindow(), at(*range(10_000))
    tracemalloc.start()
    for stamp in stamps:
        window.add([stamp], stamp)
        window.rate(stamp)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 50_000, "a second of stamps, and not all ten"
