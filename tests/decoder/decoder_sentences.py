"""The sentences, and the tokens, of the tests of the decoder."""

WORDS = [
    "a",
    "cell",
    "looks",
    "at",
    "many",
    "near",
    "neighbors",
    "in",
    "each",
    "step",
    "##s",
    "##ly",
    ".",
    ",",
]
SENTENCES = [
    "a cell looks at many neighbors.",
    "each step, a cell looks.",
    "neighbors in a step.",
    "many cells, nearly neighbors.",
    "at each step many cells step in.",
    "a cell.",
]
WIDTH = 12
