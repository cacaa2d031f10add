"""The way from the screens to the services: questions are answered on threads of their own, so that no key waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from appliance.domain.home import Home

if TYPE_CHECKING:
    from appliance.services.workbench import Workbench

Answer = TypeVar("Answer")


class Desk:
    """Asks the services. A Workbench belongs to one thread: quick questions share one, slow ones and followers open their own."""

    def __init__(self, home: Home | None = None) -> None:
        self._home = home
        self._workbench: Workbench | None = None
        self._quick = ThreadPoolExecutor(1, "desk-quick")
        self._slow = ThreadPoolExecutor(4, "desk-slow")

    async def ask(self, question: Callable[[Workbench], Answer]) -> Answer:
        """The answer to a question that takes milliseconds; raises what the service raises. Questions are answered in their order."""
        return await asyncio.wrap_future(self._quick.submit(self._answer, question))

    async def ask_slowly(self, question: Callable[[Workbench], Answer]) -> Answer:
        """The same for what may take seconds, beside other questions."""
        return await asyncio.wrap_future(self._slow.submit(self._answer_apart, question))

    @contextmanager
    def opened(self) -> Iterator[Workbench]:
        """A Workbench for the calling thread, for the length of the block."""
        from appliance.services.workbench import Workbench

        workbench = Workbench(self._home)
        try:
            yield workbench
        finally:
            workbench.close()

    def close(self) -> None:
        """Take no more questions; the one that is being answered is waited for if it is a quick one."""
        self._quick.submit(self._let_go)
        self._quick.shutdown(wait=True)
        self._slow.shutdown(wait=False, cancel_futures=True)

    def _answer(self, question: Callable[[Workbench], Answer]) -> Answer:
        if self._workbench is None:
            from appliance.services.workbench import Workbench

            self._workbench = Workbench(self._home)
        return question(self._workbench)

    def _answer_apart(self, question: Callable[[Workbench], Answer]) -> Answer:
        with self.opened() as workbench:
            return question(workbench)

    def _let_go(self) -> None:
        if self._workbench is not None:
            self._workbench.close()
