"""The values used last stay, the others go."""

from lab.recent import Recent


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(lambda values: len(values) > 2)
    recent.set("a", 1)
    recent.set("b", 2)
    assert recent.get("a") == 1
    recent.set("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    recent.set("a", 4)
    assert recent.values() == [3, 4]


def test_what_is_too_large_goes_even_if_it_is_the_newest() -> None:
    recent: Recent[str, int] = Recent(lambda values: sum(values) > 10)
    recent.set("a", 6)
    recent.set("b", 5)
    assert recent.values() == [5]
    recent.set("c", 11)
    assert recent.values() == []


def test_what_stays_is_passed_over() -> None:
    recent: Recent[str, int] = Recent(lambda values: len(values) > 2, stays=lambda value: value == 1)
    for key, value in {"a": 1, "b": 2, "c": 3}.items():
        recent.set(key, value)
    assert recent.values() == [1, 3]
