"""Failures explained: kinds of tasks for an agent, groups of agents for a task, surprises."""

from harness.explain.agent import AgentExplained, explain_agent
from harness.explain.strengths import Strengths, fit_strengths, predict_strengths
from harness.explain.task import TaskExplained, explain_task

__all__ = [
    "AgentExplained",
    "Strengths",
    "TaskExplained",
    "explain_agent",
    "explain_task",
    "fit_strengths",
    "predict_strengths",
]
