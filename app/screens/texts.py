"""Choose the texts over which engines are compared, or a comparison that was exported."""

from __future__ import annotations

from pathlib import Path

from app.screens.file import FileScreen, RefusedError
from app.state.comparison.asked_prompts import file_prompts
from app.state.comparison.recorded import read_recorded
from app.state.comparison.study import Study
from app.state.comparison.text_set import TextSet, of_file
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.comparison import Comparison, ComparisonError, load_comparison
from engines.text_file import TextFileError

TEXTS = {
    "shipped": "Texts that ship: prose, code and a chat, about 1,000 tokens",
    "conversation": "The conversation of the left side, by the checkpoint's chat template",
    "file": "A text file …",
}
INSTRUCTIONS = (
    "A UTF-8 text file; as many of its tokens as fit in the context window. Tab completes, Enter selects."
)
PROMPTS = "A UTF-8 text file with prompts, separated by empty lines. Tab completes, Enter selects."
RECORDED = "The comparison.json of a report, from here or another machine. Tab completes, Enter opens."


class TextFileScreen(FileScreen[TextSet]):
    """Returns the text of a file, or None after Esc."""

    def __init__(self) -> None:
        super().__init__("Compare over the text of a file", INSTRUCTIONS)

    def read(self, path: str) -> TextSet:
        """Read the file.

        Raises:
            RefusedError: it cannot be read, is too large, or is not UTF-8 text.
        """
        try:
            return of_file(path)
        except TextFileError as error:
            raise RefusedError(str(error)) from error


class PromptFileScreen(FileScreen[list[AskedPrompt]]):
    """Returns the prompts of a file, or None after Esc."""

    def __init__(self) -> None:
        super().__init__("Compare on the prompts of a file", PROMPTS)

    def read(self, path: str) -> list[AskedPrompt]:
        """Read the file.

        Raises:
            RefusedError: it cannot be read, is too large, is not UTF-8 text, or is empty.
        """
        try:
            return file_prompts(path)
        except TextFileError as error:
            raise RefusedError(str(error)) from error


class RecordedAnswersScreen(FileScreen[Comparison]):
    """Returns a comparison with answers, or None after Esc."""

    def __init__(self) -> None:
        super().__init__("Open a recorded comparison", RECORDED)

    def read(self, path: str) -> Comparison:
        """Read the file, or the one in a report's folder.

        Raises:
            RefusedError: it is not a comparison that this release can read, or has no answers.
        """
        try:
            comparison = load_comparison(Path(path).expanduser())
        except (ComparisonError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user
            raise RefusedError(str(error)) from error
        if not comparison.answers:
            raise RefusedError("It compares texts, not answers: open it on Quality (F10, then O).")
        return comparison


class RecordedScreen(FileScreen[Study]):
    """Returns the comparison of a file, or None after Esc."""

    def __init__(self) -> None:
        super().__init__("Open a recorded comparison", RECORDED)

    def read(self, path: str) -> Study:
        """Read the file.

        Raises:
            RefusedError: it is not a comparison that this release can read.
        """
        try:
            return read_recorded(Path(path))
        except (ComparisonError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user
            raise RefusedError(str(error)) from error
