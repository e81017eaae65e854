"""Series whose sessions are drawn: in place of agents, a world that says how able they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import journal
from harness.bank_files import load_bank
from harness.events import Answered, Cost, Event, Evidence, Launch, Plan, Started, Voided
from harness.runners.simulate import draw_outcomes
from harness.series import history, holding, worker
from harness.series.worker import Outcome, work_on
from harness.session import Session

Before = Callable[[Path, Session], None]


def nothing(run: Path, session: Session) -> None:
    return None


@dataclass
class World:
    """In place of agents: how able they are, and what happens before each answer."""

    abilities: Callable[[str], float] = lambda name: 0.3
    """By the name of the run folder."""
    before: Before = nothing
    void: Callable[[int], bool] = lambda step: False
    launches: list[Launch] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    usd: float = 0.01

    def follow(
        self, run: Path, launch: Launch, plan: Plan, *, served: bool, notify: Any, say: Any
    ) -> Session:
        self.launches.append(launch)
        self.plans.append(plan)
        bank = load_bank(launch.bank)
        step = int(run.name[:12])
        ability = np.array([[self.abilities(run.name)]])
        categories = draw_outcomes(bank, ability, np.array([step]), seed=1)[0]
        known = journal.read(run) if history.begun(run) else None
        session = Session(bank.table, plan)
        if known is not None:
            session = journal.replayed(known, bank)
        with journal.appending(run / journal.NAME, known) as writer:

            def happened(event: Event) -> None:
                nonlocal session
                writer.append(event)
                session = session.after(event)
                if notify is not None:
                    notify(session, event)

            plan = session.plan
            happened(Started(0.0, run.name, "drawn", plan, bank.name, bank.hash, "0", launch))
            for left in session.pending:
                happened(Voided(0.0, left.step, left.item, "cancelled"))
            while (end := session.ending(1.0)) is None:
                for chosen in session.next_items(1.0):
                    happened(chosen)
                    self.before(run, session)
                    if self.void(step):
                        happened(Voided(1.0, chosen.step, chosen.item, "model", "no answer"))
                        continue
                    row = bank.table.row(chosen.item)
                    cost = Cost(usd=self.usd, seconds=2.0)
                    category = int(categories[row])
                    happened(Answered(1.0, chosen.step, chosen.item, category, cost, Evidence()))
            happened(end)
        return session


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Every session of a worker is drawn, and nothing waits for long."""
    world = World()
    # looked up each time: a test may replace it
    monkeypatch.setattr(holding, "follow", lambda *a, **k: world.follow(*a, **k))
    monkeypatch.setattr(worker, "PAUSE", 0.01)
    monkeypatch.setattr(worker, "IDLE", 0.05)
    return world


def run(folder: Path, said: list[str] | None = None, **options: Any) -> Outcome:
    return work_on(folder, say=(said if said is not None else []).append, **options)
