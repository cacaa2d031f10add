"""Stages: the heavy work, one function ``run(spec, emit)`` each. Only here may torch, peft, gguf and their like be imported."""

import os

# Threads that wait must not spin: on busy cores a small model took 15 times as long. OpenMP reads this once, when torch brings it in.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
