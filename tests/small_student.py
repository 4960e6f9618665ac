"""Settings of a small student whose layers all differ in width, so that no two can be confused."""

from cellnet.settings import preset, with_changes

SETTINGS = with_changes(
    preset("quickstart"),
    {
        "lattice.dimensions": (4, 4, 4),
        "model.state_size": 6,
        "model.steps": 2,
        "local.hidden_size": 5,
        "functional.hidden_size": 6,
        "distant.hidden_size": 7,
        "gate.hidden_size": 8,
        "embedding.teacher_width": 20,
        "embedding.lifting_strategy": "own_value",
        "training.batch_size": 8,
        "training.max_steps": 4,
        "device.threads": 1,
    },
)
