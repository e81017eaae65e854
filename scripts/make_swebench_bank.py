"""Make item_banks/swebench-verified again from logged outcomes of real agents.

    python scripts/make_swebench_bank.py --responses swebench_verified/responses.csv.gz \
        --agents swebench_verified/agents.csv

The same as ``cat-harness calibrate RESPONSES --agents AGENTS --model 2pl --out
item_banks/swebench-verified``, with the description that is shipped.
"""

import argparse
from pathlib import Path

from harness.bank_files import save_bank
from harness.calibrate import calibrate
from harness.responses import read_responses
from harness.responses.parts import with_parts

FOLDER = Path(__file__).resolve().parent.parent / "item_banks" / "swebench-verified"
DESCRIPTION = (
    "The 500 tasks of SWE-bench Verified, calibrated on 100 submissions to its leaderboard "
    "(2023-10 to 2025-06). Parameters only: the outcomes come from the agent-psychometrics "
    "repository (MIT) and are not part of the bank. Item ids are those of the benchmark."
)


def main() -> None:
    """Read, fit, write, and say how it went."""
    parser = argparse.ArgumentParser(description="Make item_banks/swebench-verified again.")
    parser.add_argument("--responses", type=Path, required=True, help="long table of outcomes")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the bank")
    parser.add_argument("--agents", type=Path, help="table with agent,llm,scaffold,date")
    given = parser.parse_args()
    responses = read_responses(given.responses)
    if given.agents:
        responses = with_parts(responses, given.agents)
    fit = calibrate(responses, "2pl", name=FOLDER.name, description=DESCRIPTION)
    save_bank(fit.bank, given.out)
    print(
        f"{given.out}: hash {fit.bank.hash}, {len(fit.bank.items)} items from "
        f"{len(fit.agents)} agents, log-likelihood {fit.log_likelihood:.2f}, "
        f"{fit.passes} passes in {fit.seconds:.1f} s"
        + ("" if fit.converged else "; did not converge")
    )


if __name__ == "__main__":
    main()
