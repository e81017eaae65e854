"""Ability over checkpoints: laws of probability, integration by brute force, honest intervals."""

import warnings
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr

from harness.ability import moments
from harness.bank import Item, ItemBank
from harness.bank_files import load_bank
from harness.events import Answered, Chosen, Plan, Started
from harness.irt import Array
from harness.schedule.alarms import parse_alarm
from harness.schedule.belief import answered, forecast, information, predicted, weighed
from harness.schedule.changes import Change, change
from harness.schedule.course import Course, arrived, follow, joint
from harness.schedule.course import with_answers as asked
from harness.schedule.drift import Drift
from harness.schedule.events import Checkpoint, Tested
from harness.schedule.space import Space, make_spaces, scale_of
from harness.session import Session

FALL = parse_alarm("fall>0.25 since first")
LABELS = {"binary": ("f", "p"), "four": tuple("abcd")}


def a_bank(seed: int, n: int, categories: int = 2, name: str = "demo") -> ItemBank:
    """n items of two or four categories; 3 makes every second one of either."""
    rng = np.random.default_rng(seed)
    items = []
    for k in range(n):
        slope, at = float(np.exp(rng.normal(0.2, 0.4))), rng.normal()
        if categories == 2 or (categories == 3 and k % 2):
            items.append(Item(f"i{k}", "2pl", (slope,), (float(-slope * at),)))
        else:
            steps = np.sort(at + rng.normal(0, 1, 3)) + np.arange(3) * 0.2
            found = tuple(float(-slope * step) for step in steps)
            items.append(Item(f"i{k}", "grm", (slope,), found, categories="four"))
    return ItemBank(name, tuple(items), categories=LABELS)


def a_space(bank: ItemBank, drift: Drift | None = None, size: int = 61) -> Space:
    return Space((scale_of(bank, size),), drift or Drift())


def course_of(
    space: Space,
    answers: list[dict[int, int]],
    jumps: tuple[int, ...] = (),
    gap: int = 1,
) -> Course:
    """Answers by row at one checkpoint after the other."""
    scale = space.scales[0]
    course = Course(space)
    for t, given_ in enumerate(answers):
        course = arrived(course, t * gap, t in jumps)
        found = [(scale.table.ids[row], category) for row, category in given_.items()]
        course = asked(course, scale.name, found)
    return course


def drawn(
    space: Space, abilities: Array, rows: list[list[int]], seed: int, persistence: float
) -> list[dict[int, int]]:
    """Answers of a line of models with these abilities; effects on items stay."""
    scale = space.scales[0]
    rng = np.random.default_rng(seed)
    u = rng.standard_normal(len(scale.table.ids))
    found = []
    for ability, these in zip(abilities, rows, strict=True):
        node = int(np.abs(scale.nodes - ability).argmin())
        z = np.sqrt(persistence) * u + np.sqrt(1 - persistence) * rng.standard_normal(len(u))
        category = (scale.cuts[:, 1:-1, node] < z[:, None]).sum(axis=1)
        found.append({row: int(category[row]) for row in these})
    return found


# --- one checkpoint ---


@given(seed=st.integers(0, 10_000), categories=st.sampled_from([2, 3, 4]))
@settings(max_examples=25)
def test_the_order_of_answers_at_one_checkpoint_is_irrelevant(seed: int, categories: int) -> None:
    space = a_space(a_bank(seed, 6, categories))
    rng = np.random.default_rng(seed)
    top = space.scales[0].table.n_categories
    course = course_of(space, [{row: int(rng.integers(top[row])) for row in (0, 1, 2)}])
    course = arrived(course, 1)
    found = [(f"i{row}", int(rng.integers(top[row]))) for row in (1, 2, 3, 4)]
    at_once = asked(course, "demo", found).visits[-1]
    for step in rng.permutation(4):
        course = asked(course, "demo", [found[step]])
    np.testing.assert_allclose(course.visits[-1].belief.p, at_once.belief.p, rtol=1e-9, atol=1e-300)
    for row, effect in at_once.belief.effects[0].items():
        np.testing.assert_array_equal(effect.mean, course.visits[-1].belief.effects[0][row].mean)
    assert course.visits[-1].tasks == at_once.tasks == (4,)


@given(seed=st.integers(0, 10_000), categories=st.sampled_from([2, 3, 4]))
@settings(max_examples=25)
def test_one_checkpoint_is_an_ordinary_session(seed: int, categories: int) -> None:
    bank = a_bank(seed, 12, categories)
    # whatever the persistence: the first answer to an item is as the bank says
    space = a_space(bank, Drift(persistence=0.45 * (seed % 2)), size=121)
    rng = np.random.default_rng(seed)
    plan = Plan(prior=bank.population)
    answers = {
        int(row): int(rng.integers(space.scales[0].table.n_categories[row]))
        for row in rng.permutation(12)[:8]
    }
    for table, close in ((space.scales[0].table, 1e-6), (bank.table, 0.02)):
        session = Session(table, plan).after(Started(0.0, "r", "a", plan, "b", "h", "v"))
        for step, (row, category) in enumerate(answers.items()):
            item = table.ids[row]
            session = session.after(Chosen(0.0, step, item, f"s{step}", (0.0,), (1.0,)))
            session = session.after(Answered(0.0, step, item, category))
        mean, sd = moments(table.nodes, session.weights[None])
        ours = course_of(space, [answers]).filtered(0)
        assert ours.mean[0] == pytest.approx(mean[0, 0], abs=close)
        assert ours.sd[0] == pytest.approx(sd[0, 0], abs=close)


def test_two_category_items_equal_whatever_their_model() -> None:
    binary = Item("i0", "2pl", (1.3,), (0.4,))
    found = []
    for item in (binary, replace(binary, model="grm"), replace(binary, model="gpcm")):
        space = a_space(ItemBank("demo", (item,)))
        course = course_of(space, [{0: 1}, {0: 0}, {0: 0}])
        found.append((course.visits[-1].belief.p, change(course, FALL, "demo")))
    for p, seen in found[1:]:
        np.testing.assert_allclose(p, found[0][0], rtol=1e-9, atol=1e-12)
        assert seen is not None
        assert found[0][1] is not None
        assert seen.probability == pytest.approx(found[0][1].probability, rel=1e-9)


# --- several checkpoints ---


@given(seed=st.integers(0, 10_000), gap=st.integers(1, 30), jump=st.booleans())
@settings(max_examples=25)
def test_a_checkpoint_without_answers_only_widens(seed: int, gap: int, jump: bool) -> None:
    space = a_space(a_bank(seed, 8))
    rng = np.random.default_rng(seed)
    course = course_of(space, [{row: int(rng.integers(2)) for row in range(6)}])
    after = arrived(course, gap, jump)
    assert after.filtered(1).sd[0] > after.filtered(0).sd[0]
    # what a long move would take beyond the last node stays inside
    assert after.filtered(1).mean[0] == pytest.approx(after.filtered(0).mean[0], abs=0.2)
    np.testing.assert_array_equal(after.forecast(1).weights, after.filtered(1).weights)
    # and says nothing about the past
    np.testing.assert_allclose(after.smoothed()[0].weights, course.filtered(0).weights, atol=1e-9)


@pytest.mark.parametrize("reuse", [False, True])
def test_smoothing_ends_at_the_filter_and_is_sharper_on_average(reuse: bool) -> None:
    variances = []
    for seed in range(8):
        space = a_space(a_bank(seed, 24, 3))
        rows = [list(range(4)) if reuse else list(range(4 * t, 4 * t + 4)) for t in range(5)]
        walk = np.random.default_rng(seed).normal(0, [1, 0.1, 0.1, 0.1, 0.1]).cumsum()
        course = course_of(space, drawn(space, walk, rows, seed, 0.45))
        smoothed = course.smoothed()
        np.testing.assert_allclose(smoothed[-1].weights, course.filtered(4).weights, atol=1e-12)
        variances.append(
            [(smoothed[t].sd[0] ** 2, course.filtered(t).sd[0] ** 2) for t in range(4)]
        )
    after, before = np.mean(variances, axis=(0, 1))
    assert after < before


@given(seed=st.integers(0, 10_000), categories=st.sampled_from([2, 3, 4]))
@settings(max_examples=15)
def test_what_is_expected_after_an_answer_is_what_was_expected_before(
    seed: int, categories: int
) -> None:
    space = a_space(a_bank(seed, 5, categories))
    rng = np.random.default_rng(seed)
    top = space.scales[0].table.n_categories
    course = course_of(space, [{row: int(rng.integers(top[row])) for row in (0, 1, 2)}])
    ahead = forecast(space, course.visits[0].belief, space.move(3, False))
    p = predicted(space, ahead, 0)
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    for row in range(5):
        assert (p[row, top[row] :] == 0).all()
        chances = p[row] @ ahead.ability()
        expected = np.zeros_like(ahead.p)
        first = second = np.zeros(space.size)
        for category in range(top[row]):
            after, log_likelihood = answered(space, ahead, 0, [(row, category)])
            np.testing.assert_allclose(
                np.exp(log_likelihood), p[row, category], rtol=1e-6, atol=1e-12
            )
            expected += chances[category] * after.p
            effect = after.effects[0][row]
            first = first + p[row, category] * effect.mean
            second = second + p[row, category] * (effect.variance + effect.mean**2)
        np.testing.assert_allclose(expected, ahead.p, rtol=1e-9, atol=1e-15)
        known = ahead.effects[0].get(row)
        if known is None:
            assert row > 2
            np.testing.assert_allclose(first, 0, atol=1e-6)
            np.testing.assert_allclose(second, 1, rtol=1e-6)
        else:
            inside = ahead.ability() > 1e-6
            np.testing.assert_allclose(first[inside], known.mean[inside], atol=1e-6)
            square = known.variance + known.mean**2
            np.testing.assert_allclose(second[inside], square[inside], rtol=1e-5)
    told = information(space, ahead, 0)
    assert told.shape == (5,)
    assert (told > 0).all()


def test_an_item_that_was_asked_before_tells_less() -> None:
    twins = ItemBank("demo", (Item("i0", "2pl", (1.5,), (0.0,)), Item("i1", "2pl", (1.5,), (0.0,))))
    space = a_space(twins)
    told = information(space, arrived(course_of(space, [{0: 1}]), 1).visits[-1].belief, 0)
    assert told[0] < 0.8 * told[1]


def test_a_window_looks_back_over_tested_checkpoints() -> None:
    space = a_space(a_bank(0, 8))
    course = course_of(space, [{}, {0: 1}, {}, {1: 1}, {2: 1}, {}, {3: 0}], gap=10)

    def baseline(text: str, upto: int = 7) -> int | None:
        cut = replace(course, visits=course.visits[:upto])
        seen = change(cut, parse_alarm(text), "demo")
        return None if seen is None else seen.baseline

    assert [baseline(f"fall>0 within {n}") for n in (1, 2, 3, 9)] == [40, 30, 10, 10]
    assert baseline("fall>0 since first") == 10
    assert baseline("fall>0 since 20") == 20
    assert baseline("fall>0 since 60") is None  # itself
    assert baseline("fall>0 since 25") is None
    assert baseline("fall>0 within 3", upto=2) is None
    assert baseline("fall>0 since first", upto=1) is None


def test_a_series_reads_its_checkpoints_and_leaves_other_banks_out() -> None:
    space = a_space(a_bank(0, 4))
    mine = Tested("demo", 1, "routine", 2, "running", (("i0", 1), ("i3", 0)))
    other = Tested("other", 1, "routine", 2, "done", (("x", 1),))
    course = follow(space, [Checkpoint(0, sessions=(other, mine)), Checkpoint(5, jump=True)])
    by_hand = course_of(space, [{0: 1, 3: 0}, {}], jumps=(1,), gap=5)
    assert course.steps == (0, 5)
    assert course.visits[0].tasks == (2,)
    np.testing.assert_allclose(
        course.visits[1].belief.p, by_hand.visits[1].belief.p, rtol=1e-9, atol=1e-12
    )


# --- the oracle: paths of ability and effects integrated exactly ---


@dataclass(frozen=True)
class Found:
    last: tuple[float, float]
    first: tuple[float, float]
    fell: float
    change: tuple[float, float]


def exact(space: Space, answers: list[dict[int, int]], jumps: tuple[int, ...]) -> Found:
    """Every path of three abilities on the nodes, the effect of each item by quadrature."""
    scale, r = space.scales[0], space.drift.persistence
    u, w = hermegauss(41)
    moves = [space.move(1, t in jumps).alone[:, 0] for t in (1, 2)]
    paths = np.einsum("ha,hab,hbc->abc", space.prior[:, 0], *moves, optimize=True)
    for row in {row for given_ in answers for row in given_}:
        factors = []
        for given_ in answers:
            if row not in given_:
                factors.append(np.ones((space.size, len(u))))
                continue
            low, high = scale.cuts[row, given_[row]], scale.cuts[row, given_[row] + 1]
            above, below = (
                ndtr((cut[:, None] - np.sqrt(r) * u) / np.sqrt(1 - r)) for cut in (high, low)
            )
            factors.append(above - below)
        paths *= np.einsum("au,bu,cu,u->abc", *factors, w / w.sum(), optimize=True)
    paths /= paths.sum()
    x = (scale.nodes - scale.bank.mean[0]) / scale.sd
    ends = paths.sum(axis=1)
    moved = x[None] - x[:, None]
    fell = (ends * np.clip((-moved - FALL.by) / space.spacing + 0.5, 0, 1)).sum()

    def of(p: Array, values: Array) -> tuple[float, float]:
        mean = float((p * values).sum())
        return mean, float(np.sqrt((p * values**2).sum() - mean**2))

    return Found(of(ends.sum(axis=0), x), of(ends.sum(axis=1), x), float(fell), of(ends, moved))


def engine(space: Space, answers: list[dict[int, int]], jumps: tuple[int, ...]) -> Found:
    course = course_of(space, answers, jumps)
    last, first = course.filtered(2), course.smoothed()[0]
    seen = change(course, FALL, "demo")
    assert seen is not None
    return Found(
        (float(last.mean[0]), float(last.sd[0])),
        (float(first.mean[0]), float(first.sd[0])),
        seen.probability,
        (seen.mean, seen.sd),
    )


@pytest.mark.parametrize("categories", [2, 4])
@pytest.mark.parametrize("jumps", [(), (2,)])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_filter_smoother_and_change_agree_with_integration_under_reuse(
    categories: int, jumps: tuple[int, ...], n: int
) -> None:
    errors = []
    for seed in range(15):
        space = a_space(a_bank(seed, n, categories), size=41)
        rng = np.random.default_rng([seed, 1])
        abilities = rng.normal() + np.array([0, 0, -0.8 * (seed % 2)])
        # all items come back, or each misses one checkpoint
        rows = [[k for k in range(n) if seed % 3 or n < 3 or k % 3 != t] for t in range(3)]
        answers = drawn(space, abilities, rows, seed, 0.45)
        truth, ours = exact(space, answers, jumps), engine(space, answers, jumps)
        errors.append(
            [
                abs(ours.last[0] - truth.last[0]) / truth.last[1],
                abs(ours.last[1] / truth.last[1] - 1),
                abs(ours.first[0] - truth.first[0]) / truth.first[1],
                abs(ours.first[1] / truth.first[1] - 1),
                abs(ours.fell - truth.fell),
                abs(ours.change[0] - truth.change[0]) / truth.change[1],
                abs(ours.change[1] / truth.change[1] - 1),
            ]
        )
    mean, worst = np.mean(errors, axis=0), np.max(errors, axis=0)
    assert (mean < [0.04, 0.04, 0.015, 0.015, 0.003, 0.01, 0.01]).all(), mean
    assert (worst < [0.1, 0.1, 0.06, 0.04, 0.015, 0.035, 0.025]).all(), worst


def test_one_item_without_reuse_is_exact() -> None:
    space = a_space(a_bank(5, 9), size=41)
    answers = [{0: 1, 1: 0, 2: 1}, {3: 1, 4: 1, 5: 0}, {6: 0, 7: 0, 8: 0}]
    truth, ours = exact(space, answers, (1,)), engine(space, answers, (1,))
    for a, b in ((truth.last, ours.last), (truth.first, ours.first), (truth.change, ours.change)):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
    assert truth.fell == pytest.approx(ours.fell, rel=1e-6)


def test_the_same_answers_again_speak_against_a_change() -> None:
    """Agreement on the same items tells more of a change than the two abilities by themselves."""
    space = a_space(a_bank(1, 12))
    one = {row: row % 2 for row in range(6)}
    again = change(course_of(space, [one, one], jumps=(1,)), FALL, "demo")
    others = {row + 6: row % 2 for row in range(6)}
    fresh = change(course_of(space, [one, others], jumps=(1,)), FALL, "demo")
    assert again is not None
    assert fresh is not None
    assert again.sd < fresh.sd


# --- honest intervals under reuse ---


@dataclass(frozen=True)
class Coverage:
    filtered: float
    smoothed: float
    changed: float


@cache
def coverage(truth: float, model: float, series: int, checkpoints: int = 10) -> Coverage:
    """Of 90% intervals, where eight items of a real bank come back at every checkpoint."""
    bank = replace(load_bank("odcv"), specific_sd=0.0)
    drift = Drift(persistence=model)
    space = make_spaces([bank], drift)[0]
    scale = space.scales[0]
    prior = space.prior.sum(axis=(0, 1))
    rows = np.argsort(-scale.table.information @ prior)[:8].tolist()
    found: list[list[bool]] = [[], [], []]
    for seed in range(series):
        rng = np.random.default_rng([seed, 77])
        start = rng.choice(space.size, p=prior)
        sd = rng.choice(drift.sds, p=drift.weights)
        jumps = (rng.random(checkpoints) < drift.jump_rate) * rng.normal(
            0, drift.jump_sd, checkpoints
        )
        steps = sd * rng.standard_normal(checkpoints) + jumps
        steps[0] = 0
        abilities = scale.nodes[start] + scale.sd * steps.cumsum()
        answers = drawn(space, abilities, [rows] * checkpoints, seed, truth)
        course = course_of(space, answers)
        for k, posteriors in enumerate(
            ([course.filtered(t) for t in range(checkpoints)], course.smoothed())
        ):
            for t, ability in enumerate(abilities):
                between = posteriors[t].interval(0.9)
                found[k].append(between.low <= ability <= between.high)
        for start_at in (0, 5):
            moved = (abilities[-1] - abilities[start_at]) / scale.sd
            *_, together = joint(course, 0, start_at)
            found[2].append(_inside(together, space.spacing, moved))
    return Coverage(*(float(np.mean(inside)) for inside in found))


def _inside(together: Array, spacing: float, moved: float) -> bool:
    size = len(together)
    step = np.arange(size)[None] - np.arange(size)[:, None] + size - 1
    mass = np.bincount(step.ravel(), together.ravel())
    values = np.arange(1 - size, size) * spacing
    low, high = np.interp([0.05, 0.95], mass.cumsum() - mass / 2, values)
    return bool(low <= moved <= high)


def test_intervals_stay_honest_when_tasks_come_back() -> None:
    told = coverage(0.45, 0.45, 40)
    assert 0.84 <= told.filtered <= 0.96
    assert 0.82 <= told.smoothed <= 0.96
    assert 0.80 <= told.changed <= 0.98
    ignorant = coverage(0.45, 0.0, 40)
    assert ignorant.filtered < told.filtered - 0.05
    assert ignorant.smoothed < told.smoothed - 0.08


@pytest.mark.parametrize(("truth", "least"), [(0.2, 0.84), (0.7, 0.70)])
def test_intervals_are_not_far_off_where_tasks_persist_otherwise(
    truth: float, least: float
) -> None:
    told = coverage(truth, 0.45, 20)
    assert told.filtered >= least
    assert told.smoothed >= least


# --- two abilities ---


def test_two_independent_abilities_are_two_series() -> None:
    drift = Drift(sds=(0.1,), weights=(1.0,), correlations=(0.0,))
    banks = [a_bank(1, 6), replace(a_bank(2, 6, 4), name="other", mean=(0.5,), sd=(1.5,))]
    (both,) = make_spaces(banks, drift, joint=True)
    apart = [Space((scale_of(bank, both.size),), drift) for bank in banks]
    courses = [Course(both), *map(Course, apart)]
    answers = {"demo": [[("i0", 1), ("i1", 0)], [("i0", 0), ("i2", 0)]],
               "other": [[("i4", 3), ("i2", 2)], [("i4", 1)]]}  # fmt: skip
    for t in range(2):
        courses = [arrived(course, t, jump=t == 1) for course in courses]
        for k, name in enumerate(answers):
            for place in (0, k + 1):
                courses[place] = asked(courses[place], name, answers[name][t])
    for k, name in enumerate(answers):
        one, two = courses[k + 1], courses[0]
        for t in range(2):
            np.testing.assert_allclose(
                two.filtered(t, k).weights, one.filtered(t).weights, atol=1e-6
            )
            np.testing.assert_allclose(
                two.smoothed(k)[t].weights, one.smoothed()[t].weights, atol=1e-6
            )
        a, b = change(two, FALL, name), change(one, FALL, name)
        assert isinstance(a, Change)
        assert isinstance(b, Change)
        assert a.probability == pytest.approx(b.probability, abs=1e-5)
        assert (a.mean, a.sd) == pytest.approx((b.mean, b.sd), abs=1e-4)
    # on the finer nodes of one ability nearly the same is found
    fine = make_spaces(banks[:1], drift)[0]
    course = asked(arrived(Course(fine), 0), "demo", answers["demo"][0])
    assert course.filtered(0).mean[0] == pytest.approx(courses[0].filtered(0).mean[0], abs=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_answers_on_one_bank_move_an_ability_that_goes_with_it(sign: int) -> None:
    drift = Drift(correlations=(0.9 * sign,))
    (space,) = make_spaces([a_bank(1, 8), a_bank(2, 8, name="other")], drift, joint=True)
    course = arrived(Course(space), 0)
    before = course.filtered(0, 1)
    after = asked(course, "demo", [(f"i{k}", 1) for k in range(8)]).filtered(0, 1)
    assert sign * (after.mean[0] - before.mean[0]) > 0.4
    assert after.sd[0] < before.sd[0]


def test_the_correlation_of_two_abilities_is_learned() -> None:
    (space,) = make_spaces([a_bank(1, 40), a_bank(2, 40, name="other")], Drift(), joint=True)
    course = arrived(Course(space), 0)
    for name in ("demo", "other"):
        course = asked(course, name, [(f"i{k}", 0) for k in range(40)])
    correlations = np.array([way.correlation for way in space.cells])
    learned = course.visits[-1].belief.cells @ correlations
    assert learned > correlations.mean() + 0.2


# --- numbers that stay numbers ---


@pytest.mark.parametrize(("checkpoints", "n"), [(4, 500), (100, 5)])
def test_answers_that_no_model_expects_give_numbers(checkpoints: int, n: int) -> None:
    bank = a_bank(4, n, 3)
    # an item that nobody solves, and one that everybody does
    hopeless = (Item("never", "2pl", (8.0,), (-80.0,)), Item("always", "2pl", (8.0,), (80.0,)))
    bank = replace(bank, items=(*bank.items, *hopeless))
    space = a_space(bank, Drift(), size=121)
    top = space.scales[0].table.n_categories - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers = [
            {row: int(top[row]) * ((t // 2) % 2 == 0) for row in range(n + 2)}
            for t in range(checkpoints)
        ]
        course = course_of(space, answers)
        seen = change(course, parse_alarm("fall>0.5 within 3"), "demo")
        every = [*course.smoothed(), *(course.filtered(t) for t in range(checkpoints))]
        told = information(space, course.visits[-1].belief, 0)
    assert seen is not None
    assert np.isfinite([seen.probability, seen.mean, seen.sd, *told]).all()
    assert all(np.isfinite(posterior.weights).all() for posterior in every)
    assert course.filtered(0).mean[0] > 2
    assert course.filtered(2).mean[0] < -2


def test_a_checkpoint_after_a_million_units_is_as_good_as_new() -> None:
    for drift in (Drift(), Drift(trend=True)):
        space = a_space(a_bank(4, 30), drift)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            course = course_of(space, [dict.fromkeys(range(20), 1)] * 2, gap=10**6)
            seen = change(course, FALL, "demo")
        assert seen is not None
        assert np.isfinite(seen.sd)
        assert course.forecast(1).sd[0] > 2
        assert all(np.isfinite(posterior.weights).all() for posterior in course.smoothed())


def test_mass_where_there_was_none_stays_none() -> None:
    space = a_space(a_bank(0, 1))
    p = np.zeros_like(space.prior)
    p[0, 0, 30] = 1
    sharp = np.where(np.arange(space.size) == 3, 0.0, -2000.0)
    np.testing.assert_array_equal(weighed(space, p, 0, sharp), p)
