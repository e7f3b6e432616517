"""Wordings of questions, those for training apart from those that are held out for the score."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

DEFINE = (
    "I read about {name}. What is it?", "Somebody mentioned {name}.", "My boss talks about {name}. What is that?", "What is this {name}?",
    "I never understood {name}.", "Question: {name}, what is that?", "Explain {name} for a child.", "How would you explain {name}?",
    "What do I have to know about {name}?", "What is {name}, in plain English?", "I don't know what {name} is.", "Fast question, what is {name}?",
    "Could you say what {name} is?", "What is {name} all about?", "{name}: what is it?", "I am new to {name}.", "{name}, please.",
    "What is {name}?", "What's {name}?", "Explain {name}.", "Tell me about {name}.", "Can you explain {name}?",
    "Define {name}.", "What does {name} mean?", "{name}?", "{name}", "Explain {name} to me.", "What is meant by {name}?",
    "How does {name} work?", "I do not understand {name}.", "Please explain {name}.", "What about {name}?", "And {name}?",
    "What exactly is {name}?", "Give me a definition of {name}.", "Do you know {name}?", "Do you know what {name} is?",
    "I want to know about {name}.", "Say something about {name}.", "What can you tell me about {name}?",
    "Describe {name}.", "What do you know about {name}?", "Could you explain {name} please?", "Help me understand {name}.",
    "Explain {name} in simple words.", "Explain {name} like I am five.", "what is {name} in one or two sentences",
    "Summarise {name}.", "meaning of {name}", "I have heard of {name}. What is it?", "Let us talk about {name}.",
    "Teach me about {name}.", "What is {name} good for?", "What is {name} used for?", "How would you describe {name}?",
    "Can you tell me what {name} is?", "What is the meaning of {name}?", "Who or what is {name}?", "My question is about {name}.",
    "In short, what is {name}?", "What is {name} in a language model?", "What is {name} in this app?",
)  # fmt: skip
DEFINE_HELD_OUT = (
    "Could you tell me what {name} is about?", "In plain words, what's {name}?", "I keep reading about {name}, what is that?",
    "What should I know about {name}?", "Would you explain {name} for a beginner?", "I have no idea what {name} is.",
    "Quick question: {name}, what is it?", "How would you explain {name} to a friend?",
)  # fmt: skip

ACT = (
    "What do I press to {act}?", "What button is there to {act}?", "Where do I go to {act}?", "My wish is to {act}.", "Could I {act}?", "How might I {act}?",
    "Would you tell me how to {act}?", "I have to {act}.", "It would be nice to {act}.", "Is one able to {act}?", "By which key can I {act}?",
    "How do I {act}?", "How can I {act}?", "I want to {act}.", "Can I {act}?", "Which key do I press to {act}?", "How does one {act}?",
    "What must I do to {act}?", "{act}", "Please {act}.", "I would like to {act}.", "Is there a way to {act}?", "Where can I {act}?",
    "Tell me how to {act}.", "How to {act}?", "Which key is it to {act}?", "Is it possible to {act}?", "What is the shortcut to {act}?",
    "I need to {act}, how?", "Show me how to {act}.", "what do I have to press to {act}", "Let me {act}.",
)  # fmt: skip
SPAN = (
    "{span}?", "{span}", "What is it about: {span}?", "Something with {span}, what is it?", "What does it mean that {span}?", "Why {span}?",
    "How {span}?", "Which thing is it: {span}?", "Is it true that {span}?", "Explain: {span}", "What is called {span}?", "What has to do with {span}?",
    "I mean {span}, what is that?", "{span}, what is that called?", "What do you know about {span}?", "Who or what {span}?", "Where {span}?",
    "Can you tell me about {span}?", "I am looking for {span}.", "Which setting or part is for {span}?", "what is {span}", "for what {span}",
)  # fmt: skip

BOTH = (
    "What is {name} and why is it useful?", "What is {name} and why does it matter?", "Explain {name} and why it is important.", "What is {name}, and what is it good for?",
    "Tell me what {name} is and why I need it.", "Explain what {name} is and why it matters.", "What is {name} and why do we use it?",
)  # fmt: skip
BENEFIT = (
    "What are the benefits of {name}?",
    "Summarise the benefits of {name}.",
    "What are the advantages of {name}?",
    "List the benefits of {name}.",
)

WHY = (
    "Why would one use {name}?", "What is so good about {name}?", "For what is {name} important?", "What do we gain from {name}?",
    "Why does anybody need {name}?", "Why does {name} help?", "Is {name} important, and why?", "Why bother with {name}?",
    "What speaks for {name}?", "Why do engines have {name}?", "What makes {name} so useful?", "Tell me why {name} matters.",
    "Explain why {name} is important.", "Why would I want {name}?", "What is {name} important for?", "Who cares about {name}?",
    "Why does {name} matter?", "Why is {name} important?", "Why do we need {name}?", "Why should I care about {name}?",
    "What is the point of {name}?", "Why {name}?", "Why is {name} useful?", "What is the reason for {name}?",
    "What is the benefit of {name}?", "why do people use {name}",
)  # fmt: skip
WHY_HELD_OUT = ("What makes {name} important?", "Why would anybody care about {name}?")
WHY_NEXT = (
    "Why is this important?", "So why does this matter?", "And why is this good?", "Why would this be useful?", "Is this useful, and why?",
    "So why is that important?", "What is so useful about it?", "So why do we need this?", "And why should this matter?", "Why is this so?",
    "Why would I care?", "So what?", "Is that useful?", "What makes that so good?", "Is it important?", "Tell me why.", "For what reason?",
    "Why would anybody need that?", "What does that help?", "And what is that good for?", "Why should that matter?", "Explain why.",
    "Why?", "And why is that?", "Why is that?", "Why does it matter?", "Why is that important?", "Why should I care?",
    "Why so?", "But why?", "And why does that matter?", "Why is it important?", "What is the reason?", "What is it good for?",
    "Why do we need it?", "and why", "Why is that useful?", "What is the point of it?", "why though", "How come?",
)  # fmt: skip
WHY_NEXT_HELD_OUT = ("And why would that matter to me?", "What makes it important?", "So why is this useful?")

EXAMPLE = (
    "Give me an example of {name}.", "Can you give an example for {name}?", "Show me an example of {name}.",
    "Example of {name}?", "Make an example for {name}.", "What would be an example of {name}?", "Explain {name} with an example.",
)  # fmt: skip
EXAMPLE_HELD_OUT = ("I would like an example of {name}.",)
EXAMPLE_NEXT = (
    "Can I see an example?", "I need an example.", "Is there an example?", "Please add an example.", "Make it concrete.", "What would that look like?",
    "Could I have an example of that?", "An example would be nice.", "Let me see an example please.", "Any examples?",
    "Give me an example.", "For example?", "Can you give an example?", "An example please.", "Do you have an example?",
    "example?", "Show me an example.", "Could you give me an example?", "Make an example.", "With numbers please.",
    "And an example?", "What would be an example?", "Give me an example of that.", "Like what?", "such as?",
)  # fmt: skip
EXAMPLE_NEXT_HELD_OUT = (
    "I would like to see an example.",
    "Is there an example for that?",
    "An example would help me.",
)

MORE_NEXT = (
    "Could you say a little more?", "Please tell me more about this.", "Is that all?", "A bit more please.", "Keep going.", "And further?",
    "Can you go on?", "Please continue.", "There must be more to it.", "What more is there?", "Some more about this please.",
    "Tell me more.", "More please.", "Go on.", "Can you tell me more?", "What else?", "more", "Tell me more about it.",
    "Tell me more about that.", "Continue.", "And what else?", "Can you say more?", "Please go on.", "Anything else?",
    "What else is there to know?", "Say more about it.", "I want to know more.", "More details please.", "go on please",
)  # fmt: skip
MORE_NEXT_HELD_OUT = (
    "Could you tell me a bit more?",
    "Is there more to say?",
    "Please tell me some more about this.",
)

SHORT_NEXT = (
    "Give me the short version.", "The brief form please.", "Could you be briefer?", "Put it in fewer words.", "Could you say that more briefly?",
    "Give me just one sentence.", "A short form please.", "Could you put that in one sentence?", "Short version?", "Shorten it.",
    "Can you put it briefly?", "Only one sentence.", "The short version please.", "Could you shorten that?", "Make that one sentence.",
    "Cut it down.", "What is the short answer?", "Just the main point.", "Fewer words please.", "Keep it short.",
    "Shorter please.", "In short?", "Can you say it in one sentence?", "Shorter.", "In one sentence please.", "Summarise that.",
    "Can you make it shorter?", "That is too long.", "Sum it up.", "tl;dr", "Say it briefly.", "Make it short.", "briefly please",
    "Too long, shorter please.", "A shorter answer please.",
)  # fmt: skip
SHORT_NEXT_HELD_OUT = (
    "Could you put that more briefly?",
    "One sentence only, please.",
    "Give me the short form.",
)

AGAIN_NEXT = ("Please repeat it.", "What was that?", "Sorry, once more?", "Say it again please.", "Say that again.", "Can you repeat that?", "Repeat that please.", "Again please.", "What did you say?", "Pardon?", "once more", "Could you say that again?")  # fmt: skip
AGAIN_NEXT_HELD_OUT = ("Please say it once more.",)

SIMPLE_NEXT = (
    "That is too complicated.", "Sorry, I did not get that.", "Too difficult for me.", "That was hard to follow.", "Sorry, what?",
    "This is too technical for me.", "Can you make that easier?", "I did not understand that.", "I am lost.", "Not so complicated please.",
    "I do not understand.", "I don't get it.", "Explain it more simply.", "Simpler please.", "That is too hard for me.",
    "Can you say it in simple words?", "What does that mean?", "Huh?", "In other words?", "Can you explain that again?",
    "Easier please.", "I am confused.", "I still don't understand.", "what do you mean",
)  # fmt: skip
SIMPLE_NEXT_HELD_OUT = ("Sorry, that was too complicated for me.",)

DETAIL = (
    "Explain {name} in detail.", "Give me a long explanation of {name}.", "Explain {name} in depth.", "Write a long text about {name}.",
    "Tell me everything about {name}.", "A detailed explanation of {name} please.", "Write about {name}.", "Give me all details of {name}.",
    "Explain {name} thoroughly.", "Write an article about {name}.", "Write a paragraph about {name}.", "Give me an overview of {name}.",
    "Long answer please: what is {name}?", "Explain {name} step by step.",
)  # fmt: skip
DETAIL_HELD_OUT = (
    "I want a really long explanation of {name}.",
    "Please write a detailed text about {name}.",
)
DETAIL_NEXT = (
    "Explain that in detail.", "Longer please.", "In more detail please.", "Can you explain it in depth?", "A longer answer please.",
    "Tell me everything about it.", "Give me the long version.", "Explain it in detail.", "Can you make it longer?",
)  # fmt: skip

DIFFERENCE = (
    "How can I tell {a} from {b}?", "How do I distinguish {a} from {b}?", "What separates {a} from {b}?", "{a} and {b}: what is the difference?",
    "Are {a} and {b} the same?", "I mix up {a} and {b}.", "Tell {a} and {b} apart.", "Where is the difference between {a} and {b}?",
    "I confuse {a} with {b}.", "What do {a} and {b} mean?", "Both {a} and {b} please.", "Tell me about {a} and {b}.",
    "What is the difference between {a} and {b}?", "How do {a} and {b} differ?", "{a} versus {b}?", "Compare {a} and {b}.",
    "{a} vs {b}", "What is the difference of {a} and {b}?", "Is {a} the same as {b}?", "How is {a} different from {b}?",
    "Explain the difference between {a} and {b}.", "Compare {a} with {b}.", "{a} or {b}?", "difference between {a} and {b}",
    "What are {a} and {b}?", "Explain {a} and {b}.", "How does {a} compare to {b}?",
)  # fmt: skip
DIFFERENCE_HELD_OUT = ("In what way is {a} different from {b}?", "How can I tell {a} and {b} apart?")

STORY = (
    "Would you tell me a story about {hero}?", "I would like a story about {hero}.", "Let me hear a story of {hero}.", "A tale about {hero}, please.",
    "Write something about {hero}, a story.", "Could you tell a little story about {hero}?", "I love stories about {hero}.", "Tell us about {hero}, a long story.",
    "Tell me a story about {hero}.", "Write a story about {hero}.", "A story about {hero} please.", "Can you tell me a story about {hero}?",
    "Tell a story of {hero}.", "I want a story about {hero}.", "Make up a story about {hero}.", "story about {hero}",
    "Please tell me a story about {hero}.", "Write a long story about {hero}.", "Tell me a long story about {hero}.",
    "Invent a story about {hero}.", "Do you know a story about {hero}?", "Tell me a tale about {hero}.", "Write me a story with {hero}.",
    "Tell me a bedtime story about {hero}.", "Write a story about {hero} in {place}.", "Tell me a story about {hero} and {thing}.",
    "Tell me a story about {hero} who finds {thing}.", "Story: {hero}, {place}, {thing}.", "Write a tale in which {hero} loses {thing}.",
    "Tell me about {hero} in {place}, as a story.", "Write a 200 word story about {hero}.", "a long story about {hero} and {thing} please",
)  # fmt: skip
STORY_TWO = (
    "Tell me a story about {hero} and {helper}.", "A story with {hero} and {helper} please.", "Write a story about {hero} and {helper}.", "{hero} and {helper}, a story",
    "Tell me a long story about {hero} and {helper}.", "Tell me how {hero} met {helper}.", "Make up a tale of {hero} and {helper}.",
)  # fmt: skip
STORY_HELD_OUT = ("Would you write a little story about {hero} for me?", "I would love to hear a story about {hero}.", "Let me hear a long tale of {hero}.")  # fmt: skip
STORY_ANY = (
    "Tell me a story.", "Write a story.", "A story please.", "Can you tell me a story?", "Tell me a long story.", "Write a short story.",
    "I want to hear a story.", "Make up a story.", "story", "Tell me a bedtime story.", "Do you know a story?", "Tell me a tale.",
    "Write a long story.", "Please tell me a story.", "Tell me something long.", "Write something long.", "write a 200 word story",
)  # fmt: skip
STORY_SHORT = (
    "Tell me a short story about {hero}.", "Write a short story about {hero}.", "A very short story about {hero} please.",
    "A story about {hero} in a few sentences.", "Tell me a tiny story about {hero}.", "short story about {hero}",
    "Can you tell a brief story about {hero}?",
)  # fmt: skip
STORY_NEXT = ("Another one.", "Tell me another story.", "One more please.", "Another story please.", "Again, but different.", "more stories", "Tell me one more.", "Next story.")  # fmt: skip
STORY_SHORT_NEXT = ("Shorter please.", "A shorter one.", "Make it shorter.", "Now a short one.", "In short?", "Can you tell it in a few sentences?")  # fmt: skip
STORY_WHO_NEXT = ("Whom did you tell me about?", "What was the hero of the story?", "Which hero was in it?", "Who did the story have as its hero?", "About whom did you tell?", "Who was in that story?", "Tell me who the hero was.", "who is the main character", "Which character was that story about?", "Your story, about whom was it?", "Who was the story about?", "Who was the hero?", "Who was it about?", "Remind me who the hero was.", "what was the story about")  # fmt: skip
STORY_WHO_NEXT_HELD_OUT = ("About whom was that story?", "Which hero did your story have?")
POEM = (
    "I want a poem about {hero}.", "Please write a poem for {hero}.", "Could I have a poem about {hero}?", "Let me hear a poem about {hero}.",
    "Write a poem about {hero}.", "Write me a poem about {hero}.", "A poem about {hero} please.", "Can you write a poem about {hero}?",
    "Make a rhyme about {hero}.", "poem about {hero}", "Write a short poem about {hero}.", "Write a verse about {hero}.",
    "Tell me a poem about {hero}.", "Write a haiku about {hero}.",
)  # fmt: skip
POEM_ANY = (
    "Write a poem.",
    "Tell me a poem.",
    "Can you write a poem?",
    "A poem please.",
    "poem",
    "Write a haiku.",
)
POEM_HELD_OUT = ("I would like a poem about {hero}.",)
