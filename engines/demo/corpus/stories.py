"""Stories and poems from a small grammar: the hero, the place and the thing may come from the prompt."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random
from dataclasses import dataclass

from engines.demo.corpus import wordings
from engines.demo.corpus.names import some_name
from engines.demo.corpus.turns import Exchange, Turn, lean, letter, upper_first
from engines.demo.corpus.words import NOUNS

HEROES = ["fox", "cat", "dog", "mouse", "owl", "bear", "rabbit", "hedgehog", "wolf", "frog", "duck", "horse", "cow", "goat", "sheep", "pig", "turtle", "dragon", "unicorn", "robot", "knight", "princess", "prince", "king", "queen", "wizard", "witch", "pirate", "sailor", "farmer", "baker", "painter", "teacher", "doctor", "gardener", "astronaut", "detective", "engineer", "scientist", "clown", "giant", "dwarf", "elf", "ghost", "monster", "fairy", "mermaid", "penguin", "whale", "dolphin", "shark", "lion", "tiger", "elephant", "monkey", "giraffe", "zebra", "kangaroo", "koala", "panda", "snail", "spider", "bee", "ant", "butterfly", "ladybird", "sparrow", "raven", "eagle", "swan", "goose", "parrot", "squirrel", "beaver", "badger", "deer", "moose", "camel", "donkey", "boy", "girl", "child", "grandmother", "grandfather", "computer", "token", "tree", "star", "cloud", "snowman", "lamp", "train", "boat", "teapot", "programmer", "student", "cook", "postman", "hamster", "puppy", "kitten", "otter", "seal", "crab", "octopus", "fish", "crow", "pigeon", "chicken", "rooster", "lizard", "snake", "crocodile", "hippo", "vampire", "alien", "superhero", "musician", "dancer", "shepherd", "fisherman"]  # fmt: skip
HELD_OUT_HEROES = ("walrus", "carpenter", "lobster", "kettle", "flamingo", "miller", "weasel", "cactus")
KINDS = ["little", "brave", "old", "clever", "shy", "lazy", "curious", "tiny", "lonely", "friendly", "clumsy", "young", "proud", "grumpy", "sleepy", "red", "blue", "green", "golden", "lost", "kind", "hungry", "purple", "yellow", "black", "white", "pink", "grey", "orange", "brown", "silver", "giant", "huge", "small", "big", "tall", "short", "fat", "thin", "happy", "sad", "angry", "funny", "silly", "wise", "rich", "poor", "blind", "deaf", "wild", "tame", "magic", "flying", "talking", "singing", "dancing", "invisible", "wooden", "broken", "rusty", "haunted", "fearless", "gentle", "cruel", "noisy", "quiet", "fast", "slow", "cold", "warm", "wet", "dirty", "clean", "sweet"]  # fmt: skip
PLACES = ["the forest", "a small village", "the mountains", "a quiet harbour", "an old castle", "the desert", "a big city", "a green valley", "the moon", "an island", "a library", "a garden", "the sea", "a farm", "a dark cave", "a data centre", "the river", "a tall tower", "a market", "the snow", "a school", "a lighthouse", "space", "the jungle", "a kitchen", "a museum", "the park", "a swamp", "a train station", "the north", "a windmill", "a meadow", "the clouds", "a ship", "the attic", "a hidden temple"]  # fmt: skip
THINGS = ["a silver key", "a golden coin", "an old map", "a small lamp", "a red balloon", "a magic stone", "a letter", "a broken clock", "a music box", "a blue feather", "a strange egg", "a silk scarf", "a wooden flute", "a tiny door", "a jar of honey", "a lost token", "a green bottle", "a warm coat", "a book without words", "a bag of seeds", "a shiny shell", "a paper boat", "a compass", "a ring", "a rusty bell", "a crown", "a mirror", "a lantern", "a loaf of bread", "a box of chocolates", "a kite", "a sword", "a pearl", "a treasure"]  # fmt: skip

OPENINGS = (
    "Once upon a time there was {hero} who lived {near} {place}.",
    "Long ago, {near} {place}, there lived {hero}.",
    "Far away, {near} {place}, there was {hero}.",
    "There once was {hero} whose home was {near} {place}.",
)
HABITS = (
    "Every morning {the_hero} went for a walk and greeted everybody on the way.",
    "All day long {the_hero} dreamt of a great adventure.",
    "Everyone liked {the_hero}, because nobody else could laugh so loudly.",
    "In the evenings {the_hero} sat by the window and counted the stars.",
    "Most of the time {the_hero} was content, but sometimes a little bored.",
)
FINDS = (
    "One day {the_hero} found {thing} under an old tree.",
    "One rainy afternoon {the_hero} stumbled over {thing} on the path.",
    "Then, on a windy Tuesday, {thing} lay in front of the door.",
    "One night a loud noise woke {the_hero}, and there on the floor lay {thing}.",
)
WONDERS = (
    "Nobody knew to whom it belonged.",
    "There was a small note with it that said: please bring me home.",
    "It was warm to the touch and seemed to hum a quiet tune.",
    "It looked quite ordinary, and yet there was something odd about it.",
)
DECISIONS = (
    '"I must find out where this comes from," said {the_hero} and packed some bread and cheese.',
    "So {the_hero} decided to find the owner and set out at once.",
    '"This is the beginning of an adventure," thought {the_hero} and closed the door.',
    "Without thinking twice, {the_hero} took it along and began to walk.",
)
MEETINGS = (
    "On the way {the_hero} met {helper} who was {doing}.",
    "After an hour {helper} came along, {doing}.",
    "Behind the first hill sat {helper}, {doing}.",
)
DOINGS = ("looking for a friend", "mending a broken fence", "singing out of tune", "carrying a heavy basket", "waiting for the rain to end", "drawing circles in the sand")  # fmt: skip
TALKS = (
    '"May I come with you?" asked {the_helper}. "Two see more than one," said {the_hero}, and so they went on together.',
    '"I have seen such a thing before," said {the_helper}, "beyond the long bridge." So they walked there side by side.',
    '{The_helper} listened to the whole story and said: "I know the way, but it is not an easy one."',
)
TROUBLES = (
    "But soon a deep river blocked their path, and the bridge was gone.",
    "But then a thick fog came up, and they could not see their own feet.",
    "But before long a great storm broke loose, and the wind nearly blew them away.",
    "But at the gate stood a guard who let nobody pass without a riddle.",
    "But in the middle of the night they noticed that they had lost their way.",
)
FEARS = (
    "{The_helper} was afraid and wanted to turn back.",
    "For a moment even {the_hero} did not know what to do.",
    "They sat down, shared the last piece of bread, and thought.",
)
SOLUTIONS = (
    "Then {the_hero} had an idea: they held each other by the hand and went on one small step at a time.",
    "Then {the_hero} remembered what grandmother used to say: ask the question again, but more slowly. It helped at once.",
    "At last {the_hero} laughed and said that a problem is only a question in a coat. Together they found the answer.",
    "Then {the_hero} held up what they had found, and it began to shine so brightly that the way lay clear before them.",
)
ARRIVALS = (
    "On the other side stood a small house, and an old woman opened the door.",
    "When the sun rose, they saw a house with a blue roof, and in the garden stood an old man.",
    "Behind the last hill a little girl was waiting, as if she had known that they would come.",
)
GIFTS = (
    'There the search was over: {the_thing} was home again. "You have brought back my luck," they heard, and there was cake for all.',
    'That was the owner of {the_thing}. "Keep it," they were told, "for you have earned it."',
    "{The_thing} was put back where it belonged, and all the lights of the house went on at once.",
)
ENDINGS = (
    "From that day on {the_hero} and {the_helper} were the best of friends, and whenever it rained they told each other this story.",
    "So {the_hero} went home, tired and happy, and slept until noon. And {the_helper} came to visit every Sunday.",
    "And {the_hero} learnt that the best thing about an adventure is to have somebody to share it with.",
    "And if you ever come by, you can still see {the_hero} and {the_helper} sitting there, planning the next adventure.",
)
LONG_PLOT = (
    OPENINGS,
    HABITS,
    FINDS,
    WONDERS,
    DECISIONS,
    MEETINGS,
    TALKS,
    TROUBLES,
    FEARS,
    SOLUTIONS,
    ARRIVALS,
    GIFTS,
    ENDINGS,
)
SHORT_ENDINGS = (
    "In the end {the_thing} found its way home, and {the_hero} slept very well that night.",
    "From that day on {the_hero} carried {the_thing} everywhere and was never bored again.",
    "{The_hero} gave {the_thing} to a friend, and both were happy.",
)
SHORT_PLOT = (OPENINGS, FINDS, WONDERS, SHORT_ENDINGS)
PARAGRAPH_AFTER = (HABITS, DECISIONS, TALKS, SOLUTIONS)

POEM_LINES = (
    ("{The_hero} went out in the light of the day,", "and sang a small song on the long winding way."),
    ("{The_hero} looked up at the moon in the night,", "and thought: what a beautiful, silvery light."),
    ("The wind came along with a whisper and said:", "come, {the_hero}, wake up, do not stay in your bed."),
    ("There once was {hero} who had nothing to do,", "and so it went looking for something quite new."),
    ("The rain fell down softly on meadow and tree,", "and {the_hero} was happy, and happy are we."),
    ("Now {the_hero} is home and the stars are all there,", "and sleep, like a blanket, is everywhere."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cast:
    """Who and what a story is about; each with its article, as in "a fox"."""

    hero: str
    helper: str
    place: str
    thing: str

    def names(self) -> dict[str, str]:
        """What the sentences of the grammar are filled with."""
        inside = not self.place.startswith(
            ("the moon", "the sea", "the river", "an island", "a lighthouse", "the north")
        )
        values = {
            "hero": self.hero, "the_hero": definite(self.hero), "helper": self.helper, "the_helper": definite(self.helper),
            "place": self.place, "near": "in" if inside else "near", "thing": self.thing, "the_thing": definite(self.thing),
        }  # fmt: skip
        return values | {upper_first(key): upper_first(value) for key, value in values.items()}


def article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    return f"{'an' if noun[0] in 'aeiou' and not noun.startswith('uni') else 'a'} {noun}"


def definite(phrase: str) -> str:
    """ "the fox" for "a fox"; names stay as they are."""
    for start in ("a ", "an ", "my "):
        if phrase.startswith(start):
            return "the " + phrase[len(start) :]
    return phrase


def some_noun(rng: random.Random) -> str:
    """A usual hero, any noun, or a word that does not exist: the hero must be copied from the prompt, not known."""
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(HEROES)
    noun = rng.choice(NOUNS) if roll < 0.7 else some_name(rng).lower()
    return noun if noun not in HELD_OUT_HEROES else "fox"


def some_hero(rng: random.Random) -> str:
    """A hero with article, sometimes with an adjective, sometimes with a name only."""
    roll = rng.random()
    if roll < 0.15:
        return some_name(rng)
    noun = some_noun(rng)
    if roll < 0.5:
        noun = f"{rng.choice(KINDS)} {noun}"
    return article(noun) + (f" named {some_name(rng)}" if roll > 0.92 else "")


def some_cast(rng: random.Random, hero: str | None = None, helper: str | None = None) -> Cast:
    """A cast with a given or any hero; the helper is always somebody else."""
    hero = hero or some_hero(rng)
    key = letter(_last_word(hero))
    helper = helper or article(lean([noun for noun in HEROES if noun not in hero], rng, 7 * key))
    return Cast(hero, helper, lean(PLACES, rng, 5 * key), lean(THINGS, rng, 3 * key))


def _last_word(hero: str) -> str:
    return hero.rsplit(" ", 1)[-1]


def _told(plot: tuple[tuple[str, ...], ...], cast: Cast, rng: random.Random) -> str:
    key = letter(_last_word(cast.hero))
    names = cast.names() | {"doing": lean(DOINGS, rng, key)}
    names["the_hero"] = definite(cast.hero.split(" named ")[-1] if " named " in cast.hero else cast.hero)
    names["The_hero"] = upper_first(names["the_hero"])
    text = ""
    for place, slot in enumerate(plot):
        text += lean(slot, rng, key + place).format(**names)
        text += "\n\n" if slot in PARAGRAPH_AFTER and plot is LONG_PLOT else " "
    return text.rstrip()


def long_story(cast: Cast, rng: random.Random) -> str:
    """A story of about 200 to 300 tokens in paragraphs."""
    return _told(LONG_PLOT, cast, rng)


def short_story(cast: Cast, rng: random.Random) -> str:
    """The same in four sentences."""
    return _told(SHORT_PLOT, cast, rng)


def poem(hero: str, rng: random.Random) -> str:
    """Six rhyming lines."""
    names = {"hero": hero, "the_hero": definite(hero), "The_hero": upper_first(definite(hero))}
    start = lean(range(len(POEM_LINES)), rng, letter(_last_word(hero)))
    pairs = [POEM_LINES[(start + step) % len(POEM_LINES)] for step in range(3)]
    return "  \n".join(line.format(**names) for pair in pairs for line in pair)


def story_turn(cast: Cast, template: str, rng: random.Random, short: bool = False) -> Turn:
    """A wish for a story with this cast, and the story."""
    question = template.format(hero=cast.hero, helper=cast.helper, place=cast.place, thing=cast.thing)
    return Turn(question, (short_story if short else long_story)(cast, rng), "stories")


def _after_story(cast: Cast, rng: random.Random) -> Turn:
    roll = rng.random()
    if roll < 0.35:
        other = some_cast(rng, article(lean(HEROES, rng, 11 * letter(_last_word(cast.hero)))))
        return Turn(rng.choice(wordings.STORY_NEXT), long_story(other, rng), "stories")
    if roll < 0.65:
        return Turn(rng.choice(wordings.STORY_SHORT_NEXT), short_story(cast, rng), "stories")
    return Turn(rng.choice(wordings.STORY_WHO_NEXT), f"It was about {cast.hero}.", "stories")


def story_exchange(rng: random.Random, brief: bool = False) -> Exchange:
    """A story or a poem, sometimes with a follow-up."""
    cast, roll = some_cast(rng), rng.random()
    if roll < 0.2:
        template = rng.choice(wordings.POEM if rng.random() < 0.8 else wordings.POEM_ANY)
        hero = cast.hero if template in wordings.POEM else lean(("a little fox", cast.hero), rng)
        return (Turn(template.format(hero=hero), poem(hero, rng), "stories"),)
    if roll < 0.35 or brief:
        return (story_turn(cast, rng.choice(wordings.STORY_SHORT), rng, short=True),)
    if roll > 0.8:  # no hero was asked for: mostly the fox
        cast = some_cast(rng, lean(("a little fox", some_hero(rng)), rng))
    if roll < 0.45:
        two = some_cast(rng, cast.hero, article(some_noun(rng)))
        return (story_turn(two, rng.choice(wordings.STORY_TWO), rng),)
    turn = story_turn(cast, rng.choice(wordings.STORY if roll <= 0.8 else wordings.STORY_ANY), rng)
    return (turn, _after_story(cast, rng)) if rng.random() < 0.35 else (turn,)
