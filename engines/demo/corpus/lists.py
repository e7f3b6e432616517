"""Lists, little facts about the world, tables and code snippets."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random

from engines.demo.corpus.turns import Exchange, Turn, lean, upper_first

ITEMS = {
    "colours": "red green blue yellow orange purple brown black white pink grey",
    "fruits": "apple pear banana cherry orange plum grape melon peach lemon",
    "vegetables": "carrot potato onion cabbage leek pea bean spinach radish tomato",
    "animals": "dog cat horse cow sheep fox bear lion elephant mouse",
    "birds": "sparrow eagle owl swan raven robin stork heron duck gull",
    "trees": "oak birch pine beech willow maple ash lime fir elm",
    "flowers": "rose tulip daisy lily violet poppy sunflower iris orchid crocus",
    "drinks": "water tea coffee milk juice lemonade cocoa beer wine",
    "sports": "football tennis swimming running cycling hockey rowing skiing chess judo",
    "instruments": "piano violin guitar flute drum trumpet cello harp organ clarinet",
    "tools": "hammer saw screwdriver drill file spanner pliers axe chisel level",
    "metals": "iron copper gold silver tin zinc lead nickel aluminium titanium",
    "shapes": "circle square triangle rectangle hexagon oval star cube cone sphere",
    "languages": "English French German Spanish Italian Chinese Japanese Arabic Hindi Swahili",
    "programming languages": "Python C Java Rust Go Ruby Swift Haskell Lua Julia",
    "countries": "France Spain Italy Japan Brazil Canada Egypt India Kenya Norway",
    "cities": "Paris London Berlin Madrid Rome Tokyo Cairo Delhi Lima Oslo",
    "continents": "Africa Asia Europe Australia Antarctica",
    "oceans": "Pacific Atlantic Indian Arctic",
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "precisions": "fp32 bf16 fp16 fp8 int8 int4 nvfp4",
    "backends": "PyTorch OpenVINO TensorRT-LLM",
    "metrics": "TTFT ITL TPOT throughput perplexity",
}  # fmt: skip
FULL = {
    "the days of the week": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "the months": "January February March April May June July August September October November December",
    "the seasons": "spring summer autumn winter",
    "the planets": ITEMS["planets"],
    "the numbers from one to ten": "one two three four five six seven eight nine ten",
    "the letters of the alphabet": " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "the precisions": "fp32 bf16 fp16 fp8 int8 int8-sq int4 int4-awq nvfp4",
    "the backends": "PyTorch OpenVINO TensorRT-LLM",
}
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
SOME = (
    "Think of {count} {what}.", "Could you name {count} {what} for me?", "Write {count} {what}.", "Please name {count} {what}.", "I want {count} {what}.",
    "Name {count} {what}.", "Can you name {count} {what}?", "Tell me {count} {what}.", "Give me {count} {what}.", "{count} {what} please",
    "Which {what} do you know? Name {count}.", "I need {count} {what}.", "Name me {count} {what}.", "What are {count} {what}?", "Say {count} {what}.",
)  # fmt: skip
SOME_HELD_OUT = ("Could you think of {count} {what}?", "Please write down {count} {what}.")
BULLETS = (
    "List {count} {what}.", "Make a list of {count} {what}.", "Write a list of {count} {what}.", "List {count} {what} as bullet points.",
    "Make a bullet list of {count} {what}.", "A list with {count} {what} please.",
)  # fmt: skip
BULLETS_HELD_OUT = ("I would like a bullet list with {count} {what}.",)
NUMBERED = (
    "Make a numbered list of {count} {what}.",
    "Number {count} {what}.",
    "Write a numbered list with {count} {what}.",
)
ALL = ("Go through {what}.", "Could you name {what}?", "Count up {what}.", "{what} please", "List {what}.", "Name {what}.", "What are {what}?", "Tell me {what}.", "Can you list {what}?", "Which are {what}?", "Write down {what}.", "Say {what}.", "Give me {what}.")  # fmt: skip
ALL_HELD_OUT = ("Could you go through {what}?",)
MORE = (
    "More.",
    "Two more.",
    "Name two more.",
    "Some more please.",
    "And others?",
    "More please.",
    "Do you know more?",
)

CAPITALS = dict(pair.split(":") for pair in ["France:Paris", "Germany:Berlin", "Italy:Rome", "Spain:Madrid", "Portugal:Lisbon", "Austria:Vienna", "Poland:Warsaw", "Norway:Oslo", "Sweden:Stockholm", "Finland:Helsinki", "Denmark:Copenhagen", "Greece:Athens", "Ireland:Dublin", "Hungary:Budapest", "Japan:Tokyo", "China:Beijing", "India:Delhi", "Egypt:Cairo", "Kenya:Nairobi", "Cuba:Havana", "Peru:Lima", "Canada:Ottawa", "Russia:Moscow", "Turkey:Ankara", "England:London", "Belgium:Brussels", "Switzerland:Bern", "Brazil:Brasilia", "Australia:Canberra"])  # fmt: skip
OPPOSITES = dict(pair.split(":") for pair in ["hot:cold", "big:small", "fast:slow", "old:young", "up:down", "left:right", "good:bad", "light:dark", "hard:soft", "long:short", "high:low", "early:late", "full:empty", "happy:sad", "rich:poor", "day:night", "wet:dry", "strong:weak", "loud:quiet", "open:closed", "first:last", "thick:thin", "clean:dirty", "near:far", "deep:shallow"])  # fmt: skip
CAPITAL_ASK = ("{x}: which capital?", "Tell me the capital of {x}.", "{x} has which capital?", "From which city is {x} governed?", "Where is the government of {x}?", "the capital city of {x}", "Which town is the capital of {x}?", "Which town is {x} ruled from?", "What is the capital of {x}?", "Capital of {x}?", "Which city is the capital of {x}?", "Do you know the capital of {x}?", "Name the capital of {x}.")  # fmt: skip
CAPITAL_HELD_OUT = ("Which town is {x} governed from, I mean its capital?",)
OPPOSITE_ASK = (
    "{x} is the opposite of what?",
    "Name the opposite of {x}.",
    "Give me the opposite of {x}.",
    "What is not {x} but the contrary?",
    "What is the opposite of {x}?",
    "Opposite of {x}?",
    "Tell me the opposite of {x}.",
    "Which word is the opposite of {x}?",
)
OPPOSITE_HELD_OUT = ("Do you know the opposite of {x}?",)

SNIPPETS = {
    ("hello world in Python", "a Python program"): 'print("Hello, world!")',
    ("a loop in Python", "a for loop in Python"): "for number in range(5):\n    print(number)",
    ("a function in Python", "a Python function"): "def add(a: int, b: int) -> int:\n    return a + b",
    ("the softmax in Python", "softmax code"): (
        "from math import exp\n\n\ndef softmax(scores: list[float]) -> list[float]:\n    powers = [exp(score) for score in scores]\n"
        "    return [power / sum(powers) for power in powers]"
    ),
    ("decode speed in Python", "tokens per second in Python"): (
        "def decode_speed(tokens: int, seconds: float) -> float:\n    return (tokens - 1) / seconds"
    ),
    ("the KV cache size in Python", "KV bytes per token in Python"): (
        "def kv_bytes(layers: int, heads: int, size: int, width: int) -> int:\n    return 2 * layers * heads * size * width"
    ),
    ("loading a model in Python", "a model load with transformers"): (
        'from transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained("path/to/checkpoint")'
    ),
}  # fmt: skip
SNIPPET_ASK = ("Write {x}.", "Show me {x}.", "Can you write {x}?", "Code for {x} please.", "How do I write {x}?", "Give me an example of {x}.", "Show me code for {x}.")  # fmt: skip
SNIPPET_HELD_OUT = ("Would you show me {x}, please?",)
SNIPPET_LEADS = ("Here it is:", "Here is a short snippet:", "It can be written like this:")

PRECISIONS = {"fp32": (32, "28 GB"), "bf16": (16, "14 GB"), "fp16": (16, "14 GB"), "fp8": (8, "7 GB"), "int8": (8, "7 GB"), "int4": (4, "3.5 GB"), "nvfp4": (4, "4 GB")}  # fmt: skip
TABLE_ASK = (
    "Make a table of {x}.", "Compare {x} in a table.", "Show me a table with {x}.", "A table of {x} please.", "Write a table that compares {x}.",
    "Can you put {x} into a table?",
)  # fmt: skip
TABLE_HELD_OUT = ("I want to see {x} in a table.",)


def joined(items: list[str]) -> str:
    """Items in a sentence: "a, b and c"."""
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]


def bullets(items: list[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def any_of(items: list[str], count: int) -> str:
    """A regular expression that needs `count` of the items."""
    return r"(?s)(?:\b(?:" + "|".join(items) + r")\b.*){" + str(count) + "}"


def some_turn(what: str, count: int, template: str, rng: random.Random, form: str = "") -> Turn:
    """Some items of a kind, in a sentence, as bullets or numbered."""
    items = ITEMS[what].split()
    chosen = items[:count] if rng.random() < 0.75 else rng.sample(items, count)
    question = upper_first(template.format(count=rng.choice((COUNTS[count], str(count))), what=what))
    answer = f"{upper_first(COUNTS[count])} {what} are {joined(chosen)}."
    if form == "bullets":
        answer = f"Here are {COUNTS[count]} {what}:\n\n{bullets(chosen)}"
    if form == "numbers":
        rows = "\n".join(f"{place}. {item}" for place, item in enumerate(chosen, 1))
        answer = f"Here are {COUNTS[count]} {what}:\n\n{rows}"
    return Turn(question, answer, "lists", (any_of(items, count),))


def all_turn(what: str, template: str, rng: random.Random) -> Turn:
    """A complete list, such as the days of the week."""
    items = FULL[what].split()
    answer = f"{upper_first(what)} are {joined(items)}."
    return Turn(upper_first(template.format(what=what)), answer, "lists", (r"(?s)" + ".*".join(items),))


def table_turn(precisions: list[str], template: str) -> Turn:
    """Precisions as a Markdown table."""
    rows = "\n".join(f"| {name} | {PRECISIONS[name][0]} | {PRECISIONS[name][1]} |" for name in precisions)
    answer = f"| precision | bits per weight | 7B model |\n|---|---|---|\n{rows}"
    checks = tuple(rf"\| {name} \| {PRECISIONS[name][0]} \|" for name in precisions)
    return Turn(template.format(x=joined(precisions)), answer, "tables and code", checks)


def snippet_turn(names: tuple[str, ...], template: str, rng: random.Random) -> Turn:
    """A fenced code snippet."""
    code = SNIPPETS[names]  # type: ignore[index]
    answer = f"{lean(SNIPPET_LEADS, rng)}\n\n```python\n{code}\n```"
    return Turn(template.format(x=rng.choice(names)), answer, "tables and code", (r"```python", code.split("\n")[0].replace("(", r"\(").replace(")", r"\)").replace("[", r"\[").replace("+", r"\+")))  # fmt: skip


def capital_turn(country: str, template: str) -> Turn:
    """The capital of a country."""
    return Turn(
        template.format(x=country),
        f"The capital of {country} is {CAPITALS[country]}.",
        "lists",
        (CAPITALS[country],),
    )


def opposite_turn(word: str, template: str) -> Turn:
    """The opposite of a word."""
    return Turn(
        template.format(x=word),
        f'The opposite of "{word}" is "{OPPOSITES[word]}".',
        "lists",
        (OPPOSITES[word],),
    )


def _some_exchange(rng: random.Random) -> Exchange:
    what = rng.choice(list(ITEMS))
    items = ITEMS[what].split()
    count = rng.randint(2, min(6, len(items)))
    form, templates = rng.choice(
        (("", SOME), ("", SOME), ("bullets", BULLETS), ("bullets", BULLETS), ("numbers", NUMBERED))
    )
    turn = some_turn(what, count, rng.choice(templates), rng, form)
    rest = [item for item in items if item not in turn.answer]
    if len(rest) < 2 or rng.random() < 0.75:
        return (turn,)
    return (turn, Turn(rng.choice(MORE), f"Two more {what} are {joined(rest[:2])}.", "lists"))


def list_exchange(rng: random.Random, brief: bool = False) -> Exchange:
    """A list, a little fact, a table or a snippet."""
    roll = rng.random()
    if roll < 0.5:
        return _some_exchange(rng)
    if roll < 0.62:
        return (all_turn(rng.choice(list(FULL)), rng.choice(ALL), rng),)
    if roll < 0.72:
        return (capital_turn(rng.choice(list(CAPITALS)), rng.choice(CAPITAL_ASK)),)
    if roll < 0.8:
        return (opposite_turn(rng.choice(list(OPPOSITES)), rng.choice(OPPOSITE_ASK)),)
    if roll < 0.9:
        chosen = rng.sample(list(PRECISIONS), rng.randint(2, 5))
        return (table_turn(chosen, rng.choice(TABLE_ASK)),)
    return (snippet_turn(rng.choice(list(SNIPPETS)), rng.choice(SNIPPET_ASK), rng),)
