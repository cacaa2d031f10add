"""The image's HEALTHCHECK: ``python -m appliance.container.health``.

0 when well, else 1 and one sentence, which ``docker inspect`` shows.
"""

from __future__ import annotations

import sys

from appliance.container.beating import heartbeat
from appliance.domain.errors import ApplianceError
from appliance.domain.home import Home
from appliance.services.health import require_health
from appliance.texts.speech import explain


def main() -> int:
    """Look once."""
    try:
        require_health(Home.from_environment(), heartbeat())
    except ApplianceError as error:
        print(" ".join(explain(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
