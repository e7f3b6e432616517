"""Blind vote: which of two answers is better, without the names of their engines."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Header, Static

from app.generation import GenerationRun, UnseenAnswers
from app.screens.chat import ChatScreen
from app.screens.playground_screen import PlaygroundScreen
from app.state.comparison.blind_vote import Ballot, BlindVote, notes
from app.state.conversation.conversation import Conversation
from app.state.conversation.turn import Turn
from app.state.conversation.vote_score import score_lines
from app.state.conversation.votes import Choice, Vote
from app.state.side import turns
from app.state.side.busy import STILL_ANSWERING, answering, reason_to_wait
from app.state.side.phase import ANSWERING, Phase
from app.state.side.side import Side
from app.terminal_text import displayable
from app.widgets.chat.prompt import PromptInput
from app.widgets.compare.blind_answers import BlindAnswers, BlindText
from app.widgets.compare.blind_prompt import BlindPrompt
from app.widgets.key_footer import KeyFooter

BOTH_ANSWER = "Both engines are answering …  Esc stops."
NOTHING_ASKED = "Nothing has been answered yet. Ask both engines something below."
ALL_VOTED = "No pair of answers is left to vote on. Ask both engines something below."
NO_PAIR = "There is no pair to vote on."
NO_VOTES = "No votes yet."
ONE_ENGINE = "A blind vote needs an engine on both sides. F2 chooses them."
NOT_COUNTED = "Not counted: the names were shown before the vote."
NAMES_SHOWN = "The names are shown: a vote on this pair does not count. N shows the next."
VOTE_KEYS = "← A is better", "B is better →"
STOPPABLE = ANSWERING - {Phase.STOPPING}
CHOICES = {Choice.TIE: "a tie", Choice.BOTH_BAD: "both bad"}


class BlindScreen(PlaygroundScreen):
    """A prompt, two answers as A and B, and a box for the next prompt."""

    TITLE = "Blind vote"
    CSS_PATH = "../styles/blind.tcss"
    AUTO_FOCUS = "#blind-a"
    HELP = """\
# Blind vote

Which answer is better? The sides are shuffled for each prompt. Names, figures and pace are hidden: answers
are shown once both are complete.

**←** and **→** vote for A or B, **T** is a tie, **B** both bad, **N** leaves the pair for later, **U** takes
the last vote back. **R** shows the names of this pair; a vote on it does not count after that. **Tab** moves
to the box, where **Enter** asks both engines. Prompts and votes are saved with the conversation.

**S** shows or hides the score of each pair of engines. The share of wins is over the decided votes, without
ties and *both bad*, with Wilson's 95 % interval. **p** is that of a two-sided binomial test: how often two
equal engines would give a result at least as uneven. It is shown from 20 decided votes on. Decide before you
look how many votes you will give: stopping once p is small finds differences that are not there.

Answers of one engine on both sides are a *control run*. Identical answers are counted as ties.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape,alt+a", "back", "Back"),
        Binding("left", "better(0)", "A", show=False),  # the border names both keys
        Binding("right", "better(1)", "B", show=False),
        Binding("t", "vote('tie')", "Tie"),
        Binding("b", "vote('both bad')", "Both bad"),
        Binding("n", "next", "Later"),
        Binding("u", "undo", "Undo"),
        Binding("r", "reveal", "Reveal"),
        Binding("s", "score", "Score"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.poll = BlindVote(self._conversations, lambda: self.playground.votes, draw_order)
        self._asked = ""
        """The prompt that is being answered; empty while none is."""
        self._last = ""
        """What the user did last."""
        self._shows_score = False
        self._writing = asyncio.Lock()
        """Votes are written in the order in which they were given."""

    @property
    def _sides(self) -> tuple[Side, Side]:
        return self.playground.sides

    def _conversations(self) -> tuple[Conversation, Conversation]:
        left, right = self._sides
        return left.conversation, right.conversation

    def compose(self) -> ComposeResult:
        """Create the parts, from top to bottom."""
        yield Header()
        yield BlindText(id="blind-question")
        yield BlindAnswers()
        yield Static(id="blind-note")
        yield Static(id="blind-score")
        yield BlindPrompt(id="blind-prompt")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the first pair; without one the user writes a prompt."""
        self.playground.side_changed.subscribe(self, lambda _: self._refresh())
        self._refresh()
        if self.poll.current is None:
            self.query_one(BlindPrompt).focus()

    def on_screen_resume(self) -> None:
        """Show what the conversation is now: another screen may have changed it."""
        self._refresh()

    def action_better(self, answer: int) -> None:
        """Vote for A (0) or B (1)."""
        if ballot := self._ballot():
            self._vote(ballot.choice(answer), f"{'AB'[answer]} is better")

    def action_vote(self, choice: str) -> None:
        """Vote for none of them."""
        if self._ballot():
            self._vote(Choice(choice), CHOICES[Choice(choice)])

    def action_next(self) -> None:
        """Leave this pair without a vote."""
        if self._ballot():
            self.poll.pass_on()
            self._changed("")

    def action_reveal(self) -> None:
        """Show the names of this pair."""
        if self._ballot():
            self.poll.reveal()
            self._changed(NAMES_SHOWN)

    def action_undo(self) -> None:
        """Take the last vote back."""
        if self._asked:
            self.notify(STILL_ANSWERING)
        elif self.poll.undo():
            self._changed("The vote on this pair was taken back.")
        else:
            self.notify("No vote was given since this screen was opened.")

    def action_score(self) -> None:
        """Show or hide the score: who sees it votes with it in mind."""
        self._shows_score = not self._shows_score
        self._show()

    async def action_back(self) -> None:
        """Stop the answers; or leave the box; or close the screen, also while an engine does not stop."""
        box = self.query_one(BlindPrompt)
        if any(side.phase in STOPPABLE for side in self._sides):
            for side in self._sides:
                await self.playground.engine(side).stop()
        elif box.has_focus and (self.poll.current or box.text):
            self.query_one("#blind-a").focus()
        else:
            self.dismiss()

    @on(PromptInput.Sent)
    def ask(self, event: PromptInput.Sent) -> None:
        """Send a prompt to both sides; it is kept while they cannot answer."""
        event.stop()
        if not event.text or self._must_wait():
            return
        box = self.query_one(BlindPrompt)
        box.earlier.add(event.text)
        box.load_text("")
        self.query_one("#blind-a").focus()
        self._asked, self._last = event.text, ""
        begun = turns.begin(self._sides, event.text, ())
        self._show()
        # A task of the app: it ends the answers and saves them, also after this screen was closed.
        self.app.run_worker(self._answer(begun), group="answer", exit_on_error=False)

    def _must_wait(self) -> bool:
        """Return whether no prompt can be sent; warn if so."""
        sides = self._sides
        why = STILL_ANSWERING if self._asked else reason_to_wait(sides, to_ask=True)
        if not why and not all(side.can_answer for side in sides):
            why = ONE_ENGINE
        if why:
            self.notify(why, severity="warning")
        return bool(why)

    async def _answer(self, begun: dict[Side, Turn]) -> None:
        app, chats = self.playground, [one for one in self.app.screen_stack if isinstance(one, ChatScreen)]
        view = UnseenAnswers(self._warn)
        try:
            await GenerationRun(
                begun, view, app.settings, app.engine, app.history, app.energy, app.sampler.busy_percent
            ).run()
        finally:
            self._asked = ""
            if why := self.poll.continue_with(*begun.values()):
                self._last = f"No vote on the last prompt: {why}."
            self._changed(self._last)
            for chat in chats:
                _show_turns(chat)

    def _warn(self, message: str) -> None:
        self.notify(message, severity="warning", markup=False)

    def _ballot(self) -> Ballot | None:
        """Return the pair that is shown; say so if there is none."""
        shown = None if self._asked else self.poll.current
        if shown is None:
            self.notify(STILL_ANSWERING if self._asked else NO_PAIR)
        return shown

    def _vote(self, choice: Choice, words: str) -> None:
        counts = not self.poll.is_revealed
        self.poll.vote(choice)
        self._changed(f"Your last vote: {words}. U takes it back." if counts else NOT_COUNTED)

    def _refresh(self) -> None:
        """Look for pairs again, once no answer is being written."""
        if not self._asked and not answering(self._sides):
            self.poll.refresh()
            self._changed(self._last)
        else:
            self._show()

    def _changed(self, last: str) -> None:
        """Save new votes, and show what is next."""
        self._last = last
        if votes := self.poll.take_unsaved():
            conversations = {side.name: side.conversation for side in self._sides}
            self.app.run_worker(self._save(votes, conversations), group="votes", exit_on_error=False)
        self._show()

    async def _save(self, votes: Sequence[Vote], conversations: dict[str, Conversation]) -> None:
        async with self._writing:
            for vote in votes:
                with contextlib.suppress(OSError):  # the header shows it, and it is written later
                    await asyncio.to_thread(self.playground.history.append_vote, vote, conversations)

    def _show(self) -> None:
        """Draw everything."""
        if not self.is_attached:  # closed while its prompt was answered
            return
        ballot = None if self._asked else self.poll.current
        self.query_one("#blind-question", BlindText).show(self._heading(), self._question(ballot))
        titles, texts = ("A", "B"), ("…", "…") if self._asked else ("", "")
        if ballot:
            a, b = ballot.answers
            texts = a.answer, b.answer
            if self.poll.is_revealed:
                titles = f"A · {a.engine}", f"B · {b.engine}"
        self.query_one(BlindAnswers).show(titles, texts, VOTE_KEYS if ballot else ("", ""))
        self._show_lines()

    def _show_lines(self) -> None:
        lines = [BOTH_ANSWER] if self._asked else [self._last, *notes(self.poll)]
        note = self.query_one("#blind-note", Static)
        note.update(Content(displayable("\n".join(filter(None, lines)))))
        note.display = any(lines)
        score = self.query_one("#blind-score", Static)
        score.display = self._shows_score
        if self._shows_score:
            score.update(Content(displayable("\n".join(score_lines(self.playground.votes)) or NO_VOTES)))

    def _heading(self) -> str:
        waiting = 0 if self._asked else self.poll.waiting
        return f"Prompt · {waiting} without a vote" if waiting else "Prompt"

    def _question(self, ballot: Ballot | None) -> str:
        if ballot:
            attached = (f"[attached: {one.title}]" for one in ballot.left.attachments)
            return "\n".join(filter(None, (ballot.left.prompt, *attached)))
        if self._asked or answering(self._sides):
            return self._asked or BOTH_ANSWER
        return ALL_VOTED if any(one.turns for one in self._conversations()) else NOTHING_ASKED


def draw_order() -> bool:
    """Return at random whether the left answer is A. The draw cannot be repeated from a seed."""
    return secrets.randbelow(2) == 0


def _show_turns(chat: ChatScreen) -> None:
    """Show what was asked here in the chat below."""
    if chat.is_attached:
        chat.panes.show_conversations()
        chat.show_comparison()
        chat.composer.recount()
