"""Answers from a GGUF file, given by llama-server as people will use it: greedy, several questions at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from appliance.domain.event import Emit, Progress, Started
from appliance.inference.client import Sampling
from appliance.inference.server import ServerSettings, running_server
from appliance.stages.evaluate.exam import ANSWER_TOKENS, Question

SLOTS = 4
"""Questions that are answered at the same time."""


def served_answers(gguf: Path, questions: list[Question], log: Path, *, use_gpu: bool, emit: Emit) -> dict[str, str]:
    """The answer to every question, by its id."""
    emit(Started(None, "", "load_gguf"))
    settings = ServerSettings(slots=SLOTS, gpu_layers="auto" if use_gpu else 0)
    sampling = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS)
    with running_server(gguf, log=log, settings=settings) as server, server.client() as client:
        emit(Started(len(questions), "questions", "exam"))
        answers: dict[str, str] = {}
        with ThreadPoolExecutor(SLOTS) as pool:
            try:
                asked = {pool.submit(client.chat, question.messages(), sampling): question.id for question in questions}
                for answer in as_completed(asked):
                    answers[asked[answer]] = answer.result().text
                    emit(Progress(len(answers)))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return answers
