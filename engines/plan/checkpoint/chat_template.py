"""Find the chat template of a checkpoint, in every place and form from which transformers reads one.

Standard library only, Python 3.10 and newer: the plan and the workers use this one function.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.gguf.model_file import GgufModel, read_model
from engines.plan.checkpoint.folder_files import TEMPLATES
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES, broken, read_json_object, size_limit
from engines.regular_file import read_regular

DEFAULT = "default"
FILE = "chat_template.jinja"
GGUF_KEY = "tokenizer.chat_template"
JSON_FILES = ("tokenizer_config.json", "processor_config.json", "chat_template.json")
"""Files with a `chat_template`, by priority: the tokenizer's, then those of the processor, which newer models
that also read images have instead."""
MAX_TEMPLATES = 100
_SPECIAL_PURPOSE = ("tool", "rag", "vision", "image", "audio")
"""Words in the names of templates for other uses than a plain conversation."""


@dataclass(frozen=True)
class ChatTemplate:
    """The template for a plain conversation."""

    text: str
    """Jinja source."""
    name: str = DEFAULT
    """Its name, where the checkpoint has several."""


def read_chat_template(folder: Path) -> ChatTemplate | None:
    """Return the chat template of a checkpoint; None for a base model without one.

    Template files have priority over the JSON files, as in transformers. Where none of several named ones is
    the default, which transformers refuses, it is the first one for a plain conversation.

    Args:
        folder: of the checkpoint, or a GGUF file, whose metadata have the template.

    Raises:
        EngineError: a file with a template cannot be read or has another form (`broken-config`); for a GGUF
            file as `read_model`.
    """
    if folder.is_file():
        return gguf_template(read_model(folder))
    named = _template_files(folder)
    for name in JSON_FILES:
        if DEFAULT not in named and (folder / name).is_file():
            named = _in_json(folder / name) | named
    return _chosen(named)


def gguf_template(model: GgufModel) -> ChatTemplate | None:
    """Return the chat template in the metadata of a GGUF model; None for a base model without one.

    Raises:
        EngineError: it is too large or no text (`broken-config`).
    """
    keys = {DEFAULT: GGUF_KEY} | {
        str(one): f"{GGUF_KEY}.{one}" for one in model.items(f"{GGUF_KEY}s")[:MAX_TEMPLATES]
    }
    if not isinstance(model.metadata.get(GGUF_KEY, ""), str):
        raise broken(model.file, "broken-config", f"its {GGUF_KEY} is too large or no text")
    return _chosen(_without_empty({name: model.text(key) for name, key in keys.items()}))


def _chosen(named: dict[str, str]) -> ChatTemplate | None:
    if not named:
        return None
    name = min(named, key=lambda one: (one != DEFAULT, _is_for_other_uses(one)))
    return ChatTemplate(named[name], name)


def _is_for_other_uses(name: str) -> bool:
    return any(word in name.lower() for word in _SPECIAL_PURPOSE)


def _template_files(folder: Path) -> dict[str, str]:
    """Return the texts of chat_template.jinja and of the folder of additional ones, by name."""
    files = {DEFAULT: folder / FILE} if (folder / FILE).is_file() else {}
    if (folder / TEMPLATES).is_dir():
        additional = sorted((folder / TEMPLATES).glob("*.jinja"))[:MAX_TEMPLATES]
        files |= {file.name[: -len(".jinja")]: file for file in additional if file.is_file()}
    return _without_empty({name: _text(file) for name, file in files.items()})


def _text(file: Path) -> str:
    try:
        text = read_regular(file, size_limit(file.name) or MAX_CONFIG_BYTES).decode("utf-8")
    except OSError as error:
        raise broken(file, "broken-config", f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise broken(file, "broken-config", "it is not UTF-8 text") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")  # as files opened as text are read


def _in_json(file: Path) -> dict[str, str]:
    """Return the templates in a JSON file: one text, a list of `{name, template}`, or an object by name."""
    value = read_json_object(file).get("chat_template")
    if value is None:
        return {}
    if isinstance(value, str):
        value = {DEFAULT: value}
    elif isinstance(value, list):
        value = dict(_name_and_template(item, file) for item in value[:MAX_TEMPLATES])
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _wrong_form(file)
    return _without_empty(value)


def _name_and_template(item: object, file: Path) -> tuple[str, str]:
    if isinstance(item, dict):
        name, text = item.get("name"), item.get("template")
        if isinstance(name, str) and isinstance(text, str):
            return name, text
    raise _wrong_form(file)


def _without_empty(templates: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in templates.items() if text}


def _wrong_form(file: Path) -> EngineError:
    return broken(file, "broken-config", "its chat_template is neither a text nor a list of named texts")
