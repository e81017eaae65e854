"""Studies: many plans on the known outcomes of many agents, measured side by side.

``plan_file`` says what is asked, ``splits`` who calibrates and who is tested, ``run`` tests all
agents in lockstep (``sessions``, ``baselines``), ``measure`` compares them with all that is known
(``bootstrap``), ``words`` says it in sentences, and ``result`` is what comes out.
"""

from harness.study.measure import measure_study
from harness.study.plan_file import StudyPlan, parse_study, read_study
from harness.study.result import StudyResult
from harness.study.run import Rehearsal, Study, rehearse, run_study

__all__ = [
    "Rehearsal",
    "Study",
    "StudyPlan",
    "StudyResult",
    "measure_study",
    "parse_study",
    "read_study",
    "rehearse",
    "run_study",
]
