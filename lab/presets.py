"""What the lab begins with: the quickstart, on as many sentences as are embedded in well under a minute."""

from typing import Final

from cellnet.settings import PRESET_NAMES, Settings, preset, with_changes

FIRST_LIMIT: Final = 2000
"""Sentences of the first run. The teacher embeds them once, in about 10 to 20 s on two cores."""

FIRST_RUN: Final = "first look"
PRESETS: Final = (FIRST_RUN, *PRESET_NAMES)


def lab_preset(name: str) -> Settings:
    """A preset of cellnet, or the lab's own ``first look``.

    That is the quickstart on fewer sentences, validated and saved more often, so that there is soon
    something to see and to take away.
    """
    if name != FIRST_RUN:
        return preset(name)
    return with_changes(
        preset("quickstart"),
        {
            "data.limit": FIRST_LIMIT,
            "training.validate_every": 25,
            "training.checkpoint_every": 250,
            # So few sentences do not determine a readout; the optimizer, at its full rate, does better.
            "training.fit_readout_every": 0,
            "training.learning_rate": 4e-3,
            "training.weight_decay": 0.5,
            "training.max_steps": 4000,
            "init.gain": 1.0,
        },
    )
