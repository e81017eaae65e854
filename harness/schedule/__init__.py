"""Ability over a training run: how it moves, what to test next, when to raise an alarm.

Pure, like the engine: checkpoints and answers come in as plain data, beliefs and proposals go
out. The modules, lowest first: ``events`` (what is known of a series), ``drift`` (how ability
moves), ``space`` (banks on nodes), ``belief`` (forecast and update), ``course`` (the fold over
checkpoints, smoothing), ``alarms`` and ``changes`` (between two checkpoints), ``policy`` (texts),
``situation`` (all that a policy looks at), ``certainty`` (false alarms), ``price`` (the budget),
``propose`` (what to test, and why), ``plan`` (the session of a proposal), ``simulate`` (training
runs that never were), ``summary`` (all of it as plain data).
"""
