"""The real conductor, with the attacks in its table of stages and less patience than usual."""

import sys

from appliance.running import conductor
from tests.running.attacks.spec import make_known

make_known()
conductor.WORKER = "tests.running.attacks.worker"
conductor.GRACE = 1.0
sys.exit(conductor.main(sys.argv[1:]))
