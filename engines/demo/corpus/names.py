"""Names of people: those in use, and made-up ones, so that any name can be repeated."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random

from engines.demo.corpus.turns import Turn, lean, letter

NAMES = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Kira", "Leo", "Mia", "Noah", "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tina", "Uma", "Victor", "Wendy", "Xavier", "Yara", "Zoe", "Alice", "Bob", "Carol", "Dan", "Eve", "Frank", "Gina", "Hugo", "Iris", "Jonas", "Karin", "Lukas", "Maria", "Nina", "Otto", "Petra", "Ralf", "Sara", "Tom", "Ursula", "Vera", "Walter", "Yusuf", "Ahmed", "Aisha", "Chen", "Wei", "Mei", "Hiro", "Yuki", "Kenji", "Raj", "Priya", "Arjun", "Lakshmi", "Omar", "Fatima", "Ivan", "Natasha", "Pedro", "Lucia", "Carlos", "Sofia", "Marco", "Giulia", "Pierre", "Camille", "Lars", "Ingrid", "Sven", "Freya", "John", "Mary", "James", "Linda", "Robert", "Susan", "Michael", "Karen", "Peter", "Julia", "Martin", "Laura", "Stefan", "Nadia", "Oliver", "Emily", "George", "Charlotte", "Max", "Moritz", "Alex", "Chris", "Kim", "Robin", "Sasha", "Andrea", "Simon", "Hannah", "Daniel", "Rachel", "Thomas", "Lena", "Philip", "Marie", "Oscar", "Elsa", "Hans", "Greta", "Kofi", "Amara", "Tariq", "Leila"]  # fmt: skip
HELD_OUT_NAMES = ("Barbara", "Edgar", "Miriam", "Rufus", "Sylvie", "Konrad", "Dolores", "Wilma")
STARTS = [
    "Ba",
    "Be",
    "Bo",
    "Ca",
    "Co",
    "Da",
    "De",
    "Do",
    "Fa",
    "Fe",
    "Ga",
    "Go",
    "Ha",
    "Jo",
    "Ka",
    "Ke",
    "La",
    "Le",
    "Lo",
    "Ma",
    "Me",
    "Mo",
    "Na",
    "Ne",
    "No",
    "Pa",
    "Ra",
    "Re",
    "Ro",
    "Sa",
    "Se",
    "Ta",
    "Te",
    "To",
    "Va",
    "Vi",
    "Za",
    "Zo",
]
MIDDLES = ["ra", "li", "no", "mi", "ve", "da", "ro", "ne", "la", "ri", "so", "ta", "bel", "dri", "len", "mar"]
ENDS = ["n", "a", "na", "r", "s", "l", "ra", "ro", "ne", "th", "ck", "m", "rt", "lo", "mi", "x", ""]

TELL = (
    "I go by {name}.", "I am known as {name}.", "Just call me {name}.", "They named me {name}.", "Let me introduce myself: I am {name}.", "Remember that I am {name}.",
    "My parents named me {name}.", "Everybody knows me as {name}.", "The people here call me {name}.", "In this chat I am {name}.", "For you I am {name}.",
    "I am called {name}.", "By the way, my name is {name}.", "People call me {name}.", "My friends call me {name}.", "You should know that I am {name}.",
    "Hey, it is {name}.", "{name} is my name.", "You are talking to {name}.", "Everybody calls me {name}.", "My first name is {name}.", "Hello, {name} speaking.",
    "My name is {name}.", "I am {name}.", "I'm {name}.", "Call me {name}.", "Hi, I am {name}.", "Hello, my name is {name}.",
    "my name is {name}", "You can call me {name}.", "They call me {name}.", "This is {name} speaking.", "Hi, {name} here.", "The name is {name}.",
)  # fmt: skip
TELL_HELD_OUT = ("By the way, I am called {name}.", "People know me as {name}.")
WELCOME = (
    "Nice to meet you, {name}!",
    "Hello {name}, nice to meet you! What would you like to know?",
    "Hi {name}! How can I help you?",
)
ASK = (
    "What was my name again?", "My name was what?", "Tell me again what my name is.", "And how was my name?", "Which name was mine?", "Say again, what is my name?",
    "You know my name, right?", "What is the name that I told you?", "Recall my name.", "Is my name still known to you?",
    "Which name do I have?", "Did I tell you my name?", "What name did I give you?", "Do you still know my name?", "And what is my name?", "Who is talking to you?",
    "How am I called?", "How was I called?", "Have you forgotten my name?", "Can you tell me my own name?", "I forgot my name, what is it?", "What did I say my name was?",
    "What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "Do you know my name?", "what was my name", "Say my name.",
    "Tell me my name.", "Can you remember what I am called?", "What am I called?", "do you know who i am",
)  # fmt: skip
ASK_HELD_OUT = ("How was my name again?", "Which name did I tell you?")
RECALL = ("Your name is {name}.", "You are {name}.", "Your name is {name}. I remember it.")
UNTOLD = ("You have not told me your name yet.", "I do not know your name. What is it?")


def some_name(rng: random.Random) -> str:
    """A name in use or, a third of the time, one that nobody has."""
    if rng.random() < 0.4:
        return rng.choice(NAMES)
    if rng.random() < 0.3:
        return _random_name(rng)
    return rng.choice(STARTS) + rng.choice(MIDDLES) + rng.choice(ENDS)


def _random_name(rng: random.Random) -> str:
    """Any letters that can be spoken: the model must learn to copy, not to know."""
    letters = "".join(
        rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiouy") for _ in range(rng.randint(1, 3))
    )
    return (letters + rng.choice(("", "", "n", "rt", "ck", "l", "nd", "s", "th"))).capitalize()


def tell_name(name: str, rng: random.Random) -> Turn:
    """The user says the name."""
    return Turn(
        rng.choice(TELL).format(name=name), lean(WELCOME, rng, letter(name)).format(name=name), "names"
    )


def ask_name(name: str | None, rng: random.Random) -> Turn:
    """The user asks for the name told earlier, or for one never told."""
    answer = lean(RECALL, rng).format(name=name) if name else lean(UNTOLD, rng)
    return Turn(rng.choice(ASK), answer, "names")
