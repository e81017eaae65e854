"""Prices of models: what a run can say of dollars."""

from pathlib import Path

import pytest
from inspect_ai.model import get_model_info

from harness.errors import AgentError
from harness.runners.live import set_prices

ENTRY = "input: 2\n  output: 8\n  input_cache_write: 0\n  input_cache_read: 0.5"


@pytest.mark.parametrize("name", ["openai/gpt-4o", "nobody/knows-this"])
def test_known_and_unknown_models_get_their_price(name: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(f"{name}:\n  {ENTRY}\n")
    set_prices(path)
    info = get_model_info(name)
    assert info is not None
    assert info.cost is not None
    assert (info.cost.input, info.cost.output) == (2, 8)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "cannot be read"),
        ("3", "must map names of models"),
        ("openai/gpt-4o:\n  input: 2\n", r"openai/gpt-4o: output: Field required"),
        ("openai/gpt-4o: cheap\n", "openai/gpt-4o"),
    ],
)
def test_prices_that_cannot_be_read_are_named(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(AgentError, match=says) as failed:
        set_prices(path)
    assert str(path) in str(failed.value)
