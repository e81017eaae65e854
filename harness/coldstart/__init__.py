"""Cold starts, as if they had happened: new tasks, agents, pairs, benchmarks, told and then seen.

``benchmark`` holds outcomes and features, ``splits`` says what may be learned from, ``tell_*`` are
the methods, ``measures`` holds them against what happened, ``run`` does all of it, ``sessions``
tests agents on a benchmark that nobody has tried, and ``result`` is what comes out.
"""
