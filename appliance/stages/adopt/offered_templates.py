"""Chat templates for bases that bring none: those of the families, each for tokenizers that have its markers as tokens.

A marker that a tokenizer would split into pieces is no marker, so a template is offered only where each of its markers is one token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.spec import TemplateChoice

TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True)
class OfferedTemplate:
    """A template and what a tokenizer must have for it."""

    name: TemplateChoice
    markers: tuple[str, ...]
    text: str


TEMPLATES: Mapping[str, OfferedTemplate] = {
    template.name: template
    for template in (
        # Qwen's, https://github.com/openai/openai-python/blob/v0.28.1/chatml.md
        OfferedTemplate(
            "chatml",
            ("<|im_start|>", "<|im_end|>"),
            "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ),
        # Llama 3's, https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
        OfferedTemplate(
            "llama3",
            ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            "<|begin_of_text|>{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
            "{{ message.content }}<|eot_id|>{% endfor %}"
            "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        ),
        # Mistral's and Llama 2's; as Mistral does it, a system turn stands before the question that follows.
        OfferedTemplate(
            "inst",
            ("<s>", "</s>"),
            "<s>{% set before = namespace(system='') %}{% for message in messages %}{% if message.role == 'system' %}"
            "{% set before.system = message.content + '\n\n' %}{% elif message.role == 'user' %}"
            "[INST] {{ before.system + message.content }} [/INST]{% set before.system = '' %}"
            "{% else %} {{ message.content }}</s>{% endif %}{% endfor %}",
        ),
    )
}
"""By name, the most usual first."""


def fitting_template(folder: Path, wanted: TemplateChoice) -> OfferedTemplate:
    """The template of this name, or for ``auto`` the first that fits the tokenizer in a folder.

    Raises ``template_does_not_fit`` with the markers that are missing, ``no_template_fits``, or ``tokenizer_unreadable``.
    """
    tokenizer = _tokenizer(folder)
    chosen = [TEMPLATES[wanted]] if wanted in TEMPLATES else list(TEMPLATES.values())
    for template in chosen:
        missing = [marker for marker in template.markers if not _is_token(tokenizer, marker)]
        if not missing:
            return template
        if wanted in TEMPLATES:
            raise ApplianceError("template_does_not_fit", ExitCode.USAGE, template=wanted, missing=", ".join(missing))
    raise ApplianceError("no_template_fits", templates=", ".join(TEMPLATES))


def _is_token(tokenizer: Tokenizer, marker: str) -> bool:
    """Whether it is one token, and one of its own: what is unknown is one token, too."""
    return tokenizer.encode(marker, add_special_tokens=False).ids == [tokenizer.token_to_id(marker)]


def _tokenizer(folder: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the tokenizer's reader raises a bare Exception for a broken file
        raise ApplianceError("tokenizer_unreadable", path=str(folder), reason=str(error)[:200]) from error
