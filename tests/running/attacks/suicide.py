"""An answerer that dies of its first question."""

import os
import signal
import sys

sys.stdin.readline()
print("asked", file=sys.stderr, flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
