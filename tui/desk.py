"""The way from the screens to the services: questions are answered on threads of their own, so that no key waits for a disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from appliance.domain.home import Home

if TYPE_CHECKING:
    from appliance.services.workbench import Workbench

Answer = TypeVar("Answer")


class Desk:
    """Asks the services; one Workbench per thread, as they demand."""

    def __init__(self, home: Home | None = None) -> None:
        self._home = home
        self._own = threading.local()
        self._quick = ThreadPoolExecutor(1, "desk-quick")
        self._slow = ThreadPoolExecutor(4, "desk-slow")

    async def ask(self, question: Callable[[Workbench], Answer]) -> Answer:
        """The answer to a question that takes milliseconds; raises what the service raises. Questions are answered in their order."""
        return await asyncio.wrap_future(self._quick.submit(lambda: question(self.workbench())))

    async def ask_slowly(self, question: Callable[[Workbench], Answer]) -> Answer:
        """The same for what may take seconds, beside other questions."""
        return await asyncio.wrap_future(self._slow.submit(lambda: question(self.workbench())))

    def workbench(self) -> Workbench:
        """This thread's Workbench, opened when it is first asked for."""
        if not hasattr(self._own, "workbench"):
            from appliance.services.workbench import Workbench

            self._own.workbench = Workbench(self._home)
        found: Workbench = self._own.workbench
        return found

    def close(self) -> None:
        """Take no more questions."""
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)
