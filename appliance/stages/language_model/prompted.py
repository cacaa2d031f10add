"""A base with virtual tokens before its text (prefix and prompt tuning), seen as a language model like any other.

peft adds the virtual tokens in its own ``forward``; the loss here calls the decoder and the head by themselves, and answers are made one
row at a time, so both go through this class. Li and Liang 2021 (prefix: keys and values of every block), Lester et al. 2021 (prompt:
embeddings before the first block).
"""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftType


class Prompted(torch.nn.Module):
    """The part of transformers' interface that training and examination use, around peft's model."""

    base_model_prefix = "decoder"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.peft_model = model
        self.generation_config = model.get_base_model().generation_config

    def get_output_embeddings(self) -> Any:
        """The head."""
        return self.peft_model.get_base_model().get_output_embeddings()

    def decoder(self, input_ids: torch.Tensor, **settings: Any) -> Any:
        """The base's decoder on rows of token ids (rows, length) behind the virtual tokens.

        ``last_hidden_state`` is that of the rows' own tokens alone. Rows are padded on the right and there is no mask.
        """
        base, (rows, length) = self.peft_model.get_base_model(), input_ids.shape
        decoder = getattr(base, base.base_model_prefix)
        learned = self.peft_model.get_prompt(rows)
        if self.peft_model.active_peft_config.peft_type == PeftType.PREFIX_TUNING:
            return decoder(input_ids=input_ids, past_key_values=learned, **settings)
        words = base.get_input_embeddings()(input_ids)
        found = decoder(inputs_embeds=torch.cat((learned.to(words.dtype), words), dim=1), **settings)
        found.last_hidden_state = found.last_hidden_state[:, -length:]
        return found

    @torch.inference_mode()
    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The most likely continuation of every row, as ``generate`` of transformers gives it: (rows, width + longest answer).

        Rows are padded on the left; each is continued by itself, so that padding never stands between virtual tokens and text.
        """
        answers = [self._continued(ids[mask.bool()]) for ids, mask in zip(input_ids, attention_mask, strict=True)]
        end = _ends(self.generation_config)[0]
        width = max(len(answer) for answer in answers)
        said = torch.full((len(answers), width), end, dtype=input_ids.dtype, device=input_ids.device)
        for row, answer in enumerate(answers):
            said[row, : len(answer)] = torch.tensor(answer, dtype=input_ids.dtype)
        return torch.cat((input_ids, said), dim=1)

    def _continued(self, prompt: torch.Tensor) -> list[int]:
        base, head, ends = self.peft_model.get_base_model(), self.get_output_embeddings(), _ends(self.generation_config)
        found = self.decoder(prompt[None], use_cache=True)
        answer: list[int] = []
        while True:
            answer.append(int(head(found.last_hidden_state[:, -1]).argmax()))
            if answer[-1] in ends or len(answer) >= self.generation_config.max_new_tokens:
                return answer
            last = torch.tensor([answer[-1:]], device=prompt.device)
            decoder = getattr(base, base.base_model_prefix)
            found = decoder(input_ids=last, past_key_values=found.past_key_values, use_cache=True)


def _ends(settings: Any) -> list[int]:
    ends = settings.eos_token_id
    return list(ends) if isinstance(ends, list) else [ends]
