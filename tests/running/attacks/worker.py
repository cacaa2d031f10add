"""The real worker, with the attacks in its table of stages."""

import sys

from appliance.running import worker
from tests.running.attacks.spec import make_known

make_known()
sys.exit(worker.main(sys.argv[1:]))
