"""The check after writing, in the child: load the file with llama.cpp, compare token ids and template, let it answer.

Knows nothing of how the file was made. llama.cpp's own words go to standard error.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp
import msgspec
import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from appliance.processes.room import physical_cores
from appliance.stages.export.checking import CheckRequest, CheckResult
from appliance.stages.export.children import child_main
from appliance.stages.export.ggml_backends import load_backends
from appliance.stages.export.probe_texts import probe_texts
from appliance.stages.export.sentencepiece import sender

ANSWER_TOKENS = 16
CONTEXT = 1024
"""Tokens: enough for one question in any template."""
QUESTION = "你好，请介绍一下你自己。"


def answer(raw: bytes, tell: Callable[[int], None]) -> CheckResult:
    """Check the file that the request names."""
    request = msgspec.json.decode(raw, type=CheckRequest)
    began = time.perf_counter()
    with _loaded(request.gguf) as model:
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        template = _template(model)
        strings, mismatches = _compare(vocabulary, request.tokenizer, tell)
        prompt, template_error = _prompt(vocabulary, template)
        finite, spoken = _answer(model, vocabulary, prompt)
        words = b"".join(_piece(vocabulary, token) for token in spoken).decode("utf-8", "replace")
    return CheckResult(
        strings=strings,
        mismatches=len(mismatches),
        first_mismatch=mismatches[0] if mismatches else {},
        template_equal=not request.compare_template or template == request.template,
        template_error=template_error,
        finite=finite,
        answer=words,
        answer_tokens=len(spoken),
        seconds=round(time.perf_counter() - began, 3),
    )


@contextmanager
def _loaded(path: str) -> Iterator[Any]:
    load_backends()
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = 0
    parameters.check_tensors = True
    model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
    if not model:
        sys.exit(1)
    try:
        yield model
    finally:
        llama_cpp.llama_model_free(model)


def _template(model: Any) -> str:
    found = llama_cpp.llama_model_chat_template(model, None)
    return found.decode("utf-8") if found else ""


def _compare(vocabulary: Any, tokenizer_file: str, tell: Callable[[int], None]) -> tuple[int, list[dict[str, Any]]]:
    if not tokenizer_file:
        return 0, []
    from tokenizers import Tokenizer  # not needed for a file that comes without one

    tokenizer = Tokenizer.from_file(tokenizer_file)
    as_sent = sender(msgspec.json.decode(tokenizer.to_str()))
    markers = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    mismatches = []
    texts = probe_texts(markers)
    for number, text in enumerate(texts, 1):
        # llama.cpp does not normalise: whoever sends it text does, and so do we.
        normal = as_sent(text)
        expected, found = tokenizer.encode(normal, add_special_tokens=False).ids, _tokenize(vocabulary, normal)
        if expected != found:
            mismatches.append({"text": normal, "expected": expected, "found": found})
        tell(number)
    return len(texts), mismatches


def _tokenize(vocabulary: Any, text: str) -> list[int]:
    raw = text.encode("utf-8")
    room = len(raw) + 16
    tokens = (llama_cpp.llama_token * room)()
    count = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), tokens, room, False, True)
    return list(tokens[: max(0, count)])


def _piece(vocabulary: Any, token: int) -> bytes:
    buffer = ctypes.create_string_buffer(256)
    count = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, True)
    return buffer.raw[: max(0, count)]


def _prompt(vocabulary: Any, template: str) -> tuple[list[int], str]:
    """Tokens of a question in the file's own template, and why it could not be rendered, if it could not."""
    text, problem = QUESTION, ""
    if template:
        ends = {name: _text_of(vocabulary, name) for name in ("bos", "eos")}
        try:
            formatter = Jinja2ChatFormatter(template, eos_token=ends["eos"], bos_token=ends["bos"])
            text = formatter(messages=[{"role": "user", "content": QUESTION}]).prompt
        except Exception as error:  # noqa: BLE001  # a template is a program: it may fail in any way
            problem = f"{type(error).__name__}: {error}"[:300]
    return _tokenize(vocabulary, text)[: CONTEXT // 2], problem


def _text_of(vocabulary: Any, name: str) -> str:
    token = getattr(llama_cpp, f"llama_vocab_{name}")(vocabulary)
    return "" if token < 0 else _piece(vocabulary, token).decode("utf-8", "replace")


def _answer(model: Any, vocabulary: Any, prompt: list[int]) -> tuple[bool, list[int]]:
    """Whether all logits were numbers, and the most likely tokens one after the other (at least one, unless they were not)."""
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = CONTEXT
    parameters.n_threads = parameters.n_threads_batch = physical_cores()
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        sys.exit(1)
    rows = llama_cpp.llama_vocab_n_tokens(vocabulary)
    ends = [token for token in range(rows) if llama_cpp.llama_vocab_is_eog(vocabulary, token)]
    step = prompt
    answer: list[int] = []
    for _ in range(ANSWER_TOKENS):
        batch = (llama_cpp.llama_token * len(step))(*step)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(batch, len(step))):
            sys.exit(1)
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(rows,)).copy()
        if not np.isfinite(logits).all():
            return False, answer
        if not answer:
            logits[ends] = -np.inf  # whether it wants to say anything is the exam's question, not ours
        token = int(logits.argmax())
        if token in ends:
            break
        answer.append(token)
        step = [token]
    llama_cpp.llama_free(context)
    return True, answer


if __name__ == "__main__":
    child_main(answer)
