"""Abilities of agents whose outcomes on a bank are known: estimates, standard errors, draws.

A *cell* is what one agent did on one item: a count of each category over its trials. Items are
known up to a Gaussian in their parameters x, and an item may be easier or harder for one agent
than its ability says, by an effect e ~ N(0, effect_sd²). Trials of a cell share both, so

    L_cell(θ) = E_{x,e} Π_k P(k | θ, x, e)^{count_k},        ℓ(θ) = Σ_cells log L_cell(θ)

The average is over fixed points. With one ability and a single trial they are those of
:func:`harness.bank.compile_bank`, so that the same answers give the same posterior as in a
session. Several trials take uniform nodes along the common shift of an item's intercepts, and a
few points across it. With ``uncertainty=False`` x is known.

===  ==============================================================  ========================
     estimate                                                        standard error
===  ==============================================================  ========================
eap  mean of the posterior ∝ prior e^ℓ (Bock and Mislevy 1982)        sd of the posterior
map  mode of the posterior (Samejima 1969)                           (prior precision - ℓ'')^-½
ml   maximum of ℓ                                                    (-ℓ'')^-½
wle  root of ℓ' + J / (2 I) (Warm 1989; polytomous: Samejima 1993)    (-ℓ'' - (J / (2 I))')^-½
===  ==============================================================  ========================

``I = Σ P'²/P`` and ``J = Σ P' P''/P`` run over the outcomes that the agent's cells can have. Every
standard error but that of eap is from the curvature at the estimate, the observed information,
as R's mirt has it.

With one ability the posterior lies on uniform nodes, at most a quarter of the smallest posterior
sd apart: their error falls like ``exp(-2π²s²/h²)``. With several it lies on nodes around each
agent's mode, along the axes of the curvature there (adaptive quadrature, Naylor and Smith 1982).
Modes and roots are refined by Newton's method.
"""

from harness.estimate.abilities import (
    Abilities,
    Method,
    draw_abilities,
    estimate_abilities,
    posteriors,
)

__all__ = ["Abilities", "Method", "draw_abilities", "estimate_abilities", "posteriors"]
