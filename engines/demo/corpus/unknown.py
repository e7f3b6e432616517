"""Subjects that the demo model does not know, so that it says so instead of inventing an answer."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random

from engines.demo.corpus import wordings
from engines.demo.corpus.names import ENDS, MIDDLES, STARTS, some_name
from engines.demo.corpus.stories import HEROES, KINDS, PLACES, article
from engines.demo.corpus.stories import THINGS as OBJECTS
from engines.demo.corpus.turns import Exchange, Turn, lean, letter, upper_first
from engines.demo.corpus.words import NOUNS, field

THINGS = ["quantum physics", "the theory of relativity", "democracy", "photosynthesis", "inflation", "the stock market", "black holes", "the Roman Empire", "jazz", "opera", "cricket", "the French Revolution", "evolution", "gravity", "electricity", "DNA", "vaccines", "blockchain", "bitcoin", "the moon landing", "climate change", "philosophy", "Buddhism", "football", "pizza", "lasagne", "sourdough", "whisky", "knitting", "astrology", "dinosaurs", "volcanoes", "earthquakes", "the Great Wall", "the pyramids", "Shakespeare", "Mozart", "Beethoven", "Picasso", "Napoleon", "Cleopatra", "Einstein", "Newton", "Darwin", "Kubernetes", "Docker", "JavaScript", "SQL", "HTML", "Excel", "Linux", "Windows", "5G", "Wi-Fi", "a sonnet", "a noun", "an atom", "a molecule", "a cell", "a virus", "a mortgage", "a tax", "a contract", "a passport", "a visa", "a violin concerto", "the economy", "the government", "psychology", "sociology", "chemistry", "biology", "medicine", "cancer", "diabetes", "a headache", "sleep", "dreams", "happiness", "love", "marriage", "school", "university", "a bicycle", "a car engine", "an airplane", "a submarine", "a rocket", "the weather system", "the ocean", "a rainbow", "thunder", "the internet", "a database", "a compiler", "recursion", "a linked list", "binary search", "sorting", "a blockchain wallet", "a washing machine", "a fridge", "the Olympic Games", "the World Cup", "a marathon", "yoga", "chess openings", "poker", "origami", "pottery", "gardening", "beekeeping", "a symphony", "rock music", "a novel", "a detective film", "cartoons", "fashion", "perfume", "architecture", "Gothic churches", "bridges", "tunnels", "steel", "concrete", "glass", "paper", "silk"]  # fmt: skip
HELD_OUT_THINGS = ("sailing", "the Middle Ages", "ballet", "geometry", "a vacuum cleaner", "penicillin", "oil painting", "magnetism", "mushrooms", "a hurricane")  # fmt: skip
QUESTIONS = (
    "Why is the sky blue?", "Why is {thing} so {kind}?", "Why do people like {thing}?", "Why do birds fly?", "Why is the {noun} {kind}?", "Why does {thing} exist?",
    "Why does the {noun} {kind}?", "Why do we have {thing}?", "Why are {noun}s {kind}?", "How does a {noun} work?", "How do {noun}s live?", "Where do {noun}s live?",
    "Can you write a function to sort {noun}s?", "Write a function that reverses a string.", "Write a Python script for {thing}.", "Write code that counts {noun}s.",
    "Can you write a program about {thing}?", "Write a class for a {noun} in Java.", "How do I reverse a list?", "Why did {person} do that?", "What do {noun}s eat?",
    "How many legs has a {noun}?", "Is a {noun} {kind}?", "How heavy is a {noun}?", "How much does a {noun} cost?", "Why is water wet?", "Why is grass green?",
    "Who is the king of {place}?", "Who is the queen of {place}?", "Which animal is the biggest?", "What is the largest city in the world?", "Tell me the news.",
    "How long has {thing} existed?", "Since when do people have {thing}?", "Which people live in {place}?", "Do you have a recipe with {thing}?",
    "Could you write an essay about {thing}?", "Write a speech for {person}.", "Have you heard of {person}?", "Did you read the book by {person}?",
    "What happened in {place} last year?", "What are the rules of {thing}?", "Who discovered {thing}?", "Where does {thing} come from?",
    "Who is the president of {place}?", "Who wrote {thing}?", "How do I cook {thing}?", "Translate this into {language}.", "Who won {thing}?",
    "When did {thing} begin?", "How many people live in {place}?", "How high is the mountain near {place}?", "What is the news from {place}?",
    "How far is it to {place}?", "Who invented {thing}?", "Where can I buy {thing}?", "What is the history of {thing}?", "Give me a recipe for {thing}.",
    "What does {thing} cost?", "Write an essay about {thing}.", "Who was {person}?", "Do you know {person}?", "Tell me about {person}.", "Who is {person}?",
    "Write an email to {person}.", "Write a letter to {person}.", "Translate {thing} into {language}.", "What is the population of {place}?",
    "Recommend a book about {thing}.", "What is the best {thing}?", "How can I learn {thing}?", "Plan a trip to {place}.", "What should I eat in {place}?",
    "Write a program that sorts {thing}.", "Fix my code.", "Summarise this article.", "What do you think about {thing}?", "What is your opinion on {thing}?",
    "How do I get to {place}?", "Which is the best restaurant in {place}?", "Should I buy {thing}?", "How old is {person}?", "What is 5 to the power of 9?",
    "Divide 100 by 7.", "What is the square root of 2?", "Is {thing} dangerous?", "Can you explain the rules of {thing}?", "How do I fix {thing}?",
    "What is the stock price today?", "Who will win the election?", "How do I lose weight?", "What is the meaning of this word?", "What colour is {thing}?",
    "Write a business plan for {thing}.", "Draw a picture of {thing}.", "Play some music.", "Set an alarm.", "Remind me tomorrow.", "Call my mother.",
    "Order {thing}.", "Open the window.", "Write a resume for {person}.", "Prove that {thing} exists.", "How does {thing} affect {thing}?",
)  # fmt: skip
QUESTIONS_HELD_OUT = (
    "Since when has {thing} existed?", "Which famous people live in {place}?", "I need a good recipe with {thing}, do you have one?",
    "Could you write a speech about {thing}?", "Have you read anything by {person}?",
)  # fmt: skip
ANSWERS = (
    "I do not know that. I am only a small demo model, and I know about this app and LLM inference.",
    "That is beyond me, I am afraid: I am a toy. Ask me about KV caches, precisions or the keys of this app.",
    "I do not know anything about that. For such questions pick a larger model with F2.",
    "I am too small to know that. I could explain quantisation to you, or tell you a story.",
)
CHECK = ("do not know|beyond me|too small",)
WHY_NOT = (
    "Why not?",
    "Why don't you know that?",
    "But why?",
    "Really not?",
    "Are you sure?",
    "Try it.",
    "Please try.",
    "That is a pity.",
    "Come on.",
)
WHY_NOT_ANSWERS = (
    "I have only 7 million parameters, and I was trained on a few subjects. The rest of the world is unknown to me.",
    "Because I am a toy with 7 million parameters. I only learnt about this app, inference and little stories.",
)


def _place(rng: random.Random) -> str:
    return rng.choice(
        (
            "France",
            "Paris",
            "Peru",
            "London",
            "Mexico",
            "Berlin",
            "Iceland",
            "Boston",
            "Chile",
            "my town",
            "Texas",
            _made_up(rng),
        )
    )


def _made_up(rng: random.Random) -> str:
    return rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(MIDDLES) + rng.choice(ENDS)


def unknown_turn(template: str, thing: str, rng: random.Random, checks: tuple[str, ...] = ()) -> Turn:
    """A question about something unknown."""
    question = template.format(
        noun=rng.choice(NOUNS), kind=rng.choice(KINDS), thing=thing, name=thing, place=_place(rng), language=rng.choice(("French", "German", "Latin", "Spanish")),
        person=f"{some_name(rng)} {_made_up(rng)}",
    )  # fmt: skip
    return Turn(upper_first(question), lean(ANSWERS, rng, letter(question)), "unknown", checks)


def _thing(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.3:
        return rng.choice(THINGS)
    if roll < 0.5:
        return rng.choice(
            (field(rng), field(rng), rng.choice(NOUNS), article(rng.choice(NOUNS)), f"{rng.choice(NOUNS)}s")
        )
    if roll < 0.7:
        return rng.choice(
            (rng.choice(HEROES), article(rng.choice(HEROES)), rng.choice(OBJECTS), rng.choice(PLACES))
        )
    word = _made_up(rng).lower()
    return rng.choice(
        (
            word,
            word,
            f"a {word}",
            f"{rng.choice(KINDS)} {word}",
            f"the {word}",
            f"{word}ing",
            f"{word}s",
            f"{word} {rng.choice(HEROES)}",
        )
    )


def unknown_exchange(rng: random.Random, brief: bool = False) -> Exchange:
    """A question that the model cannot answer, and that it says so."""
    thing = _thing(rng)
    templates = wordings.DEFINE + wordings.DETAIL if rng.random() < 0.55 else QUESTIONS
    turn = unknown_turn(rng.choice(templates), thing, rng)
    if rng.random() < 0.85:
        return (turn,)
    return (turn, Turn(rng.choice(WHY_NOT), lean(WHY_NOT_ANSWERS, rng), "unknown"))
