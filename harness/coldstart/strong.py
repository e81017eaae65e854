"""What agents are good at, on top of what a method says of their cells."""

import numpy as np
from scipy.special import expit, logit

from harness.coldstart.benchmark import Truth
from harness.explain.strengths import fit_strengths, predict_strengths
from harness.irt import Array
from harness.regression import Features, learn_coding
from harness.responses import Responses


def with_strengths(passing: Array, responses: Responses, known: Truth, features: Features) -> Array:
    """``(A, n)`` chances once the weights of features for each agent are counted in.

    The weights are learned on known cells, where ``passing`` is what the method makes of them, and
    carried over to the others. They are averaged over as a normal (MacKay 1992).

    Args:
        passing: ``(A, n)`` of known cells and of those to tell.
        known: ``(A, n)``.
    """
    items = known.any(axis=0)
    coded = learn_coding(features.of(np.array(features.names)[items].tolist()))
    x = coded.design(features).x[:, 1:]
    offset = logit(passing)
    score = np.where(known, responses.scores(), np.nan)
    found = fit_strengths(offset[:, items], score[:, items], x[items])
    mean, sd = predict_strengths(found, x)
    return np.asarray(expit((offset + mean) / np.sqrt(1 + np.pi / 8 * sd**2)))
