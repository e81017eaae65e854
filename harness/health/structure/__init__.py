"""Structure: what items share beyond one ability, fairness to groups of agents, reliability."""
