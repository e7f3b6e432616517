"""Which text decoders the installed transformers has, read from its source: it is not imported.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SAME_TEXT_MODEL = {
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
}
"""Text models without a class of their own, and the family that computes the same for text.

Their three positions of a token (time, height, width) are equal in a text."""
_MAPPING = re.compile(r"^MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = OrderedDict\((.*?)^\)", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r'\("([\w.-]+)", "\w+"\)')


@cache
def causal_model_types() -> frozenset[str]:
    """Return the `model_type` of each family for which transformers has a causal language model.

    Empty if transformers is not installed, or is written in another way: then nothing is known.
    """
    package = find_spec("transformers")
    if package is None or package.origin is None:
        return frozenset()
    try:
        source = (Path(package.origin).parent / "models" / "auto" / "modeling_auto.py").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return frozenset()
    found = _MAPPING.search(source)
    return frozenset(_ENTRY.findall(found[1])) if found else frozenset()


def is_causal_model(model_type: str) -> bool:
    """Return whether transformers has a causal language model of a family; False if that is not known."""
    return SAME_TEXT_MODEL.get(model_type, model_type) in causal_model_types()


def lacks_causal_model(model_type: str) -> bool:
    """Return whether transformers has none; False if that is not known."""
    return bool(causal_model_types()) and not is_causal_model(model_type)
