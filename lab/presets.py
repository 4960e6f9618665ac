"""What the lab begins with: the quickstart, on as many sentences as are embedded in well under a minute."""

from typing import Final

from cellnet.settings import PRESET_NAMES, Settings, preset, with_changes

FIRST_LIMIT: Final = 6000
"""Sentences of the first run: about as few as determine a readout. The teacher embeds them once."""

FIRST_RUN: Final = "first look"
PRESETS: Final = (FIRST_RUN, *PRESET_NAMES)


def lab_preset(name: str) -> Settings:
    """A preset of cellnet, or the lab's own ``first look``.

    That is the quickstart on fewer sentences, validated, saved and its readout solved more often, so that
    there is soon something to see and to take away.
    """
    if name != FIRST_RUN:
        return preset(name)
    return with_changes(
        preset("quickstart"),
        {
            "data.limit": FIRST_LIMIT,
            "data.validation_fraction": 0.05,
            "training.validate_every": 50,
            "training.checkpoint_every": 250,
        },
    )
