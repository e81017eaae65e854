"""The rubric by which a model judges what makes a task hard for agents.

Every attribute runs from 1 to 5 with 5 the demanding end, and each says what to leave out of
account, so that a long text is not mistaken for a hard task.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from harness.features import LEVELS, Level

LOW: Final = 1
HIGH: Final = 5


@dataclass(frozen=True)
class Attribute:
    """One thing to judge about a task."""

    name: str
    level: Level
    """The lowest at which it can be judged."""
    question: str
    low: str
    """What a 1 looks like."""
    middle: str
    """What a 3 looks like."""
    high: str
    """What a 5 looks like."""
    apart: str
    """What has no influence on it."""


RUBRIC: Final[tuple[Attribute, ...]] = (
    Attribute(
        "separate_steps",
        "statement",
        "How many stages of work, each with a result that the next one needs, does the task take?",
        "one action, such as changing a value or running one command",
        "three or four stages, such as collect, convert, check and write",
        "ten or more stages, each of which can fail on its own",
        "Count stages of work: one stage described at length is one stage.",
    ),
    Attribute(
        "planning_horizon",
        "statement",
        "How far ahead must early decisions be right?",
        "each step can be decided when it is reached, and a wrong one is undone at once",
        "an early choice of tool or data format is paid for later, by redoing a part",
        "early choices decide everything, show their flaws only at the end, or cannot be undone",
        "The number of steps does not matter, only how much they hang on earlier ones.",
    ),
    Attribute(
        "hidden_requirements",
        "statement",
        "How much of what a good result needs is left unsaid?",
        "every requirement is stated",
        "one or two requirements follow from common practice of the field",
        "success hangs on several requirements that only experience or exploration reveals",
        "Long statements can leave out what matters and short ones can be complete.",
    ),
    Attribute(
        "ambiguity",
        "statement",
        "How differently could competent people understand what is asked for?",
        "everybody would describe the same result",
        "the main result is clear, details of it can be read in two ways",
        "the goal itself has several readings that lead to different results",
        "Judge the readings, not how much or how well is written.",
    ),
    Attribute(
        "domain_knowledge",
        "statement",
        "How specialised is the knowledge that a solver must bring along?",
        "general familiarity with computers",
        "what a practitioner of one field uses every week",
        "narrow expert knowledge, such as that of a research paper or a rare standard",
        "Terms that the task explains itself need not be brought along.",
    ),
    Attribute(
        "reasoning",
        "statement",
        "How long is the hardest chain of inference that has to be worked out?",
        "a known recipe is applied",
        "several facts are combined, or a textbook algorithm is adapted",
        "a deduction or algorithm of many dependent insights has to be found",
        "Much routine work is not a long inference.",
    ),
    Attribute(
        "novelty",
        "statement",
        "How unlike well-known tasks is this one?",
        "a classic exercise, or a problem answered in countless tutorials",
        "a usual kind of work with a twist of its own",
        "a combination that a solver has hardly ever met",
        "Names and numbers in a familiar problem do not make it new.",
    ),
    Attribute(
        "tool_rarity",
        "statement",
        "How rare are the languages, tools and formats that have to be used?",
        "everyday tools and a mainstream language",
        "a less common tool or library that is well documented",
        "obsolete, proprietary or nearly undocumented ones",
        "The number of tools does not matter, only the rarest that is needed.",
    ),
    Attribute(
        "search_space",
        "statement",
        "How many plausible approaches must be tried before one works?",
        "the way is given, or there is only one",
        "a handful of candidates is compared by looking or by experiment",
        "a large open space with little that tells which direction is promising",
        "Judge the candidates that cannot be ruled out at once, not those that are mentioned.",
    ),
    Attribute(
        "missing_feedback",
        "statement",
        "How poorly can a solver tell, while working, whether the result is right?",
        "a command that is at hand shows at once and fully whether it is",
        "own checks show the main behaviour, not the details",
        "nothing shows it before the final judgement",
        "The number of checks does not matter, only what they leave open.",
    ),
    Attribute(
        "precision",
        "statement",
        "How small a slip spoils the whole result?",
        "any sensible result of the right kind is accepted",
        "format and several properties must hold exactly, the rest is free",
        "one wrong character, byte or value anywhere fails everything",
        "The amount of output does not matter, only the tolerance.",
    ),
    Attribute(
        "numeric_exactness",
        "statement",
        "How exactly must numbers be computed?",
        "no computed number matters",
        "numbers within a comfortable tolerance by a standard method",
        "numbers so tight that method, rounding or convergence decide",
        "Numbers that are only copied or counted are not computed.",
    ),
    Attribute(
        "efficiency",
        "statement",
        "How demanding are limits on time, memory or size of the solution?",
        "no limit, or one that everything meets",
        "a limit that a sound solution meets with some care",
        "close to the best that is known to be possible",
        "Limits on how long the solver may work are not limits on the solution.",
    ),
    Attribute(
        "setup_burden",
        "statement",
        "How much must be installed, built or configured before the work itself?",
        "everything works as it is found",
        "some packages to install, or one service to configure",
        "a tool chain to build, old versions to reconcile, or several services to bring up",
        "Judge what can go wrong in it, not how many commands it takes.",
    ),
    Attribute(
        "waiting",
        "statement",
        "How long do the commands run that the task needs?",
        "all of them a few seconds",
        "some of them several minutes",
        "an hour or more, so that running them has to be planned",
        "Many short commands are not a long one.",
    ),
    Attribute(
        "interplay",
        "statement",
        "How many parts must work together for the result?",
        "one file or one program by itself",
        "two or three parts with an interface between them",
        "many processes, languages or machines that all have to agree",
        "Parts that are mentioned but can be left alone do not count.",
    ),
    Attribute(
        "perception",
        "statement",
        "How far is the needed information from plain text?",
        "all of it is text that can be printed",
        "a structured or binary format that a library reads",
        "pictures, sound, screens or raw machine code that have to be interpreted",
        "The amount of data does not matter.",
    ),
    Attribute(
        "debugging",
        "statement",
        "How hard is the cause of a fault to find?",
        "there is no fault, or its cause is named",
        "a fault that can be reproduced, with its cause a few steps from the symptom",
        "several interacting or fleeting faults whose symptoms point elsewhere",
        "A long error message is not a hard fault.",
    ),
    Attribute(
        "misleading",
        "statement",
        "How strongly does something pull the solver in a wrong direction?",
        "nothing does",
        "irrelevant material, or an approach that looks right at first and fails",
        "false leads on purpose: planted hints, commands hidden in data, or an active opponent",
        "Mere bulk of material is not misleading.",
    ),
    Attribute(
        "goal_conflict",
        "statement",
        "How strongly is the solver tempted to break a rule or to fake the result?",
        "nothing is gained by it",
        "a shortcut would look like success, or a rule makes the goal slower to reach",
        "under pressure, the goal is reached only or far more easily by breaking a rule or law",
        "Rules that cost nothing to follow do not count, however many there are.",
    ),
    Attribute(
        "harm_potential",
        "statement",
        "How bad can a wrong action of the solver be?",
        "nothing of value can be damaged",
        "data or a service can be spoiled, and restored with effort",
        "people, data or systems can be harmed beyond repair",
        "Judge the worst likely action, not how often danger is mentioned.",
    ),
    Attribute(
        "reading",
        "repository",
        "How much of what is there must be understood before acting?",
        "nothing beyond the statement",
        "a few files or one page of a manual",
        "the design of a large code base, or evidence scattered over logs and data",
        "Files that are there but need not be understood do not count.",
    ),
    Attribute(
        "locating",
        "repository",
        "How hard is it to find where to act?",
        "the place is named, or there is only one",
        "a few searches for words of the statement lead there",
        "nothing in the statement points there; the path has to be traced",
        "The size of the code does not matter when the way is marked.",
    ),
    Attribute(
        "spread_of_change",
        "repository",
        "Over how many places does the work spread?",
        "one function, file or setting",
        "three to five places of one component",
        "many places in several components that must stay consistent",
        "Many lines in one place are one place.",
    ),
    Attribute(
        "strict_verification",
        "tests",
        "How thoroughly is the result checked?",
        "that something is there, or one usual case",
        "the main behaviour and a few edge cases",
        "edge cases throughout, exact values, time or load, and attempts to cheat",
        "Repeated checks of the same behaviour are one check.",
    ),
    Attribute(
        "unstated_checks",
        "tests",
        "How much do the tests demand that the statement does not say?",
        "all that they check follows from the statement",
        "one or two details must be guessed, such as a name or a format",
        "a correct solution by the statement would often fail them",
        "The number of tests does not matter.",
    ),
    Attribute(
        "ingenuity",
        "solution",
        "How far is the reference solution from what most would write first?",
        "it is what anyone would write",
        "it needs one idea that is not obvious",
        "it rests on several ideas that few would have",
        "Its number of lines does not matter.",
    ),
    Attribute(
        "first_attempt",
        "solution",
        "How likely does a reasonable first attempt differ from the reference in a way that fails?",
        "nearly any first attempt would pass",
        "about half of them would miss a detail",
        "nearly all would fail, in ways that are hard to notice",
        "Differences of style or length are no failures.",
    ),
)


def attributes(level: Level) -> tuple[Attribute, ...]:
    """Those that can be judged at a level of information.

    >>> [a.name for a in attributes("repository") if a.level != "statement"]
    ['reading', 'locating', 'spread_of_change']
    """
    known = LEVELS[: LEVELS.index(level) + 1]
    return tuple(a for a in RUBRIC if a.level in known)


def rubric_text(level: Level) -> str:
    """The rubric of a level, for a model to read."""
    return "\n\n".join(
        f"{a.name}: {a.question}\n  1: {a.low}\n  3: {a.middle}\n  5: {a.high}\n  {a.apart}"
        for a in attributes(level)
    )


def rubric_version() -> str:
    """Changes whenever a word of the rubric does."""
    return hashlib.sha256(rubric_text(LEVELS[-1]).encode()).hexdigest()[:8]
