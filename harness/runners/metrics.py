"""What Inspect shows of a session: ability, its sd, and the predicted score as metrics of the log.

They are read off the session, not computed from scores: voids have none, and answers count by
information.
"""

from collections.abc import Callable

from inspect_ai.scorer import Metric, SampleScore, Value, metric

from harness.session import Session

Now = Callable[[], Session]


@metric(name="ability")
def final_ability(session: Now) -> Metric:
    """The ability estimate, so that the log and its viewer show it."""

    def compute(scores: list[SampleScore]) -> Value:
        return session().ability[0]

    return compute


@metric(name="sd")
def final_sd(session: Now) -> Metric:
    """The posterior sd of the ability."""

    def compute(scores: list[SampleScore]) -> Value:
        return session().sd[0]

    return compute


@metric(name="predicted_score")
def predicted_score(session: Now) -> Metric:
    """The predicted score on the whole bank."""

    def compute(scores: list[SampleScore]) -> Value:
        return session().score.mean

    return compute


METRICS = (final_ability, final_sd, predicted_score)
