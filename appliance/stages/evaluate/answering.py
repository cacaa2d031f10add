"""Answers from a transformers model: greedy, several questions at once, the same as one by one."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig

from appliance.domain.event import Emit, Progress, Started
from appliance.stages.evaluate.exam import ANSWER_TOKENS, Question
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.device import Device

AT_ONCE = 32
"""Questions that are answered together."""


def generated_answers(
    model: Any, tokenizer: Any, device: Device, questions: list[Question], emit: Emit, at_once: int = AT_ONCE
) -> dict[str, str]:
    """The answer to every question, by its id."""
    template = ChatTemplate(tokenizer)
    ends = _end_ids(model, tokenizer, template)
    # Set on the model: what a base's own settings say (a repetition penalty, sampling) would fill every gap otherwise.
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=ANSWER_TOKENS, eos_token_id=sorted(ends), pad_token_id=min(ends, default=0)
    )
    prompts = {question.id: template.prompt_ids(question.messages()) for question in questions}
    # Similar lengths together: less padding.
    order = sorted(prompts, key=lambda name: len(prompts[name]))
    emit(Started(len(order), "questions", "exam"))
    answers: dict[str, str] = {}
    for start in range(0, len(order), at_once):
        chosen = order[start : start + at_once]
        for name, ids in zip(chosen, _continued(model, device, [prompts[name] for name in chosen]), strict=True):
            answers[name] = tokenizer.decode(_until(ids, ends), skip_special_tokens=True)
        emit(Progress(len(answers)))
    return answers


def _continued(model: Any, device: Device, prompts: list[list[int]]) -> list[list[int]]:
    """What the model says after each prompt, as token ids; shorter prompts are padded on the left and the padding is masked."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=device.torch_device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device.torch_device)
    with torch.inference_mode(), device.arithmetic():
        said = model.generate(input_ids=ids, attention_mask=mask)
    continued: list[list[int]] = said[:, width:].tolist()
    return continued


def _until(ids: list[int], ends: set[int]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    return ids[:end]


def _end_ids(model: Any, tokenizer: Any, template: ChatTemplate) -> set[int]:
    """Tokens after which an answer is over: the base's own and the template's end of turn."""
    configured = model.generation_config.eos_token_id
    ends = set(configured) if isinstance(configured, list) else {configured}
    ends.add(tokenizer.eos_token_id)
    end_of_turn = tokenizer.backend_tokenizer.encode(template.end_of_turn, add_special_tokens=False).ids
    if len(end_of_turn) == 1:
        ends.add(end_of_turn[0])
    return ends - {None}
