"""The commands ``explain agent`` and ``explain task``, as typed: text, JSON, pages, bad input."""

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness import journal
from harness.bank import ItemBank
from harness.bank_files import save_bank
from harness.cli.explain import explain
from harness.errors import BankError, HarnessError, InputError, ResponsesError
from harness.events import Answered, Chosen, Plan, Started
from harness.plant import draw_bank
from harness.plant.draw import draw_answers

AGENTS, ITEMS = 30, 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank with tags, outcomes of agents of which one fails a tag, features, parts of agents."""
    folder = tmp_path_factory.mktemp("explain")
    rng = np.random.default_rng(0)
    drawn = draw_bank(ITEMS, seed=2)
    items = tuple(
        replace(item, tags=("net",) if k % 3 == 0 else ("disk",))
        for k, item in enumerate(drawn.items)
    )
    bank = replace(drawn, name="tagged", items=items)
    save_bank(bank, folder / "bank")
    save_bank(drawn, folder / "bare")
    ability = np.linspace(-1.5, 1.5, AGENTS)
    with (folder / "outcomes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["agent", "item", "category"])
        for k, item in enumerate(items):
            broken = (np.arange(AGENTS) == 22) & (k % 3 == 0)
            drawn_ = draw_answers(item, ability[:, None], -4.0 * broken * item.slopes[0], 1, rng)
            writer.writerows([f"a{a}", item.id, int(c)] for a, c in enumerate(drawn_[:, 0]))
    with (folder / "features.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "steps", "language", "same"])
        for k, item in enumerate(items):
            writer.writerow(
                [item.id, round(item.difficulties[0] * 10 + 30 + k % 5), "ab"[k % 2], 1]
            )
    with (folder / "agents.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["agent", "llm", "scaffold", "date"])
        for a in range(AGENTS):
            writer.writerow([f"a{a}", f"m{a // 10}", f"s{a % 3}", f"2025-0{1 + a // 6}"])
    return folder


def run(
    world: Path, *arguments: str, bank: str = "bank", responses: str = "outcomes.csv"
) -> Result:
    where = ["--bank", str(world / bank), "--responses", str(world / responses)]
    return CliRunner().invoke(explain, [*arguments, *where])


class Text(HTMLParser):
    """All text of a page, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value for name, value in attrs if name in ("src", "href") and value]


def test_an_agent_is_explained_in_text_json_and_a_page(world: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "a.html", tmp_path / "a.json"
    done = run(
        world,
        *("agent", "a22", "--features", f"meta={world / 'features.csv'}"),
        *("--agents", str(world / "agents.csv"), "-o", str(page), "--json", str(data)),
    )
    assert done.exit_code == 0, done.output
    assert "fails more than its ability says with: tag" in done.output
    assert "same is the same everywhere" in done.output
    found = json.loads(data.read_text())["explained"]
    first = found["kinds"][0]
    assert (first["name"], first["source"]) in {("net", "tags"), ("disk", "tags")}
    assert first["false_sign"] < 0.05
    assert {one["name"] for one in found["kinds"]} >= {"net", "steps"}
    assert found["better"]["changes"] or found["better"]["notes"]
    read = Text(page.read_text())
    whole = " ".join(read.text)
    assert "What a22 fails, and why" in whole
    assert "Another model or scaffold" in whole
    assert all(link.startswith("#") for link in read.loads)


def test_a_task_is_explained_in_text_json_and_a_page(world: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "t.html", tmp_path / "t.json"
    done = run(
        world,
        *("task", "task07", "--features", f"meta={world / 'features.csv'}"),
        *("--agents", str(world / "agents.csv"), "-o", str(page), "--json", str(data)),
    )
    assert done.exit_code == 0, done.output
    assert "It is harder than" in done.output
    found = json.loads(data.read_text())
    assert {one["attribute"] for one in found["groups"]} >= {"scaffold"}
    assert found["why"]["reasons"][0]["feature"] == "steps"
    assert len(found["bins"]) == 3
    whole = " ".join(Text(page.read_text()).text)
    assert "Why task07 is as hard as it is" in whole
    assert "Nearest tasks" in whole


def test_json_alone_on_stdout(world: Path) -> None:
    done = CliRunner().invoke(
        explain,
        [
            *("task", "task03", "--json", "-b", str(world / "bank")),
            *("-r", str(world / "outcomes.csv")),
        ],
    )
    assert json.loads(done.stdout)["item"] == "task03"


def test_traces_of_runs_are_named(world: Path, tmp_path: Path) -> None:
    drawn = draw_bank(ITEMS, seed=2)
    runs = tmp_path / "runs"
    hard_first = sorted(drawn.items, key=lambda item: item.difficulties[0])
    for agent in ("good", "other"):
        write_run(runs / agent, agent, drawn, [item.id for item in hard_first])
    done = CliRunner().invoke(
        explain,
        [
            *("agent", "good", "-b", str(world / "bank"), "-r", str(runs), "--bound", "0.1"),
            *("-o", str(tmp_path / "a.html")),
        ],
    )
    assert done.exit_code == 0, done.output
    trace = f"{hard_first[0].id}#1 in {runs / 'good'}/logs/good.eval"
    assert trace in done.output
    page = Text((tmp_path / "a.html").read_text())
    assert trace in " ".join(page.text)
    assert "runs/good/logs/good.eval" in page.loads


def write_run(folder: Path, agent: str, bank: ItemBank, items: list[str]) -> None:
    """A run that failed its first item, the easiest, and solved the others."""
    folder.mkdir(parents=True)
    with journal.appending(folder / journal.NAME) as writer:
        writer.append(Started(1.0, agent, agent, Plan(), bank.name, bank.hash, "1"))
        for step, item in enumerate(items, start=1):
            category = int(step > 1)
            writer.append(Chosen(1.0 + step, step, item, f"{item}#1", (0.0,), (1.0,)))
            trace = f"logs/{agent}.eval"
            writer.append(Answered(1.5 + step, step, item, category, trace=trace))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("agent", "a99"), ResponsesError, "did you mean"),
        (("task", "task7"), ResponsesError, "did you mean"),
        (("agent", "a1", "--features", "1=features.csv"), InputError, "cannot name a block"),
    ],
)
def test_names_that_are_not_there(
    world: Path, arguments: tuple[str, ...], error: type[HarnessError], says: str
) -> None:
    done = run(world, *arguments)
    assert isinstance(done.exception, error)
    assert says in str(done.exception)
    assert done.exception.exit_code == 2


def test_neither_tags_nor_features(world: Path) -> None:
    done = run(world, "agent", "a1", bank="bare")
    assert isinstance(done.exception, InputError)
    assert "--features NAME=FILE" in str(done.exception)
    assert isinstance(run(world, "agent", "a1", bank="nowhere").exception, BankError)


def test_what_rests_on_little_is_said(world: Path) -> None:
    few = world / "few.csv"
    few.write_text("agent,item,category\na,task01,1\na,task02,0\na,task03,1\n")
    done = run(world, "agent", "a", responses="few.csv")
    assert done.exit_code == 0
    assert "has answered 3 items" in done.output
    assert "No kind of tasks can be told from the others" in done.output
    task = run(world, "task", "task01", responses="few.csv")
    assert task.exit_code == 0
    assert "Only 1 of the agents" in task.output
