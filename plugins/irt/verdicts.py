"""By what the items of a bank are judged: for each reason an action and a limit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from irt.strict import StrictSettings

# The one reason that needs the times of the answers.
CHANGED = "changed"

Action = Annotated[
    Literal["hold", "warn", "ignore"],
    Field(description="`hold` keeps the item's last published row, `warn` only records the reason"),
]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]


class Reversed(StrictSettings):
    """Those who know more are wrong more often: the key is probably wrong."""

    action: Action = "hold"
    limit: Annotated[NotNegative, Field(description="SEs that the slope is below 0")] = 2.0


class Flat(StrictSettings):
    """The item tells hardly anything of ability; of items with a slope of their own."""

    action: Action = "hold"
    limit: Annotated[NotNegative, Field(description="largest slope")] = 0.05


class OutOfRange(StrictSettings):
    """A parameter that no item has."""

    action: Action = "hold"
    limit: Annotated[NotNegative, Field(description="largest absolute b")] = 10.0
    limit_a: Annotated[NotNegative, Field(description="largest absolute a")] = 10.0


class Imprecise(StrictSettings):
    """The answers do not determine the item."""

    action: Action = "warn"
    limit: Annotated[NotNegative, Field(description="largest SE of b")] = 2.0
    limit_a: Annotated[NotNegative, Field(description="largest SE of a")] = 2.0


class Misfit(StrictSettings):
    """The shares of right answers do not follow the model's curve."""

    action: Action = "warn"
    limit: Annotated[NotNegative, Field(description="largest RMSD of the observed and the expected curve")] = 0.15


class TooFewAnswers(StrictSettings):
    """Fewer answers than are worth publishing; unlike minimum.item_responses, the item is estimated first."""

    action: Action = "hold"
    limit: Annotated[NotNegative, Field(description="fewest answers")] = 20.0


class Changed(StrictSettings):
    """The difficulty changed at a moment within the window: the question was edited under its id, or leaked.

    Needs a service with the capability `changes`; of others, only `use_newer` asks for it.
    """

    action: Annotated[
        Literal["hold", "warn", "ignore", "use_newer"],
        Field(
            description="`use_newer` estimates the item from its answers after the change alone; with `ignore`"
            " the times of the answers are not sent"
        ),
    ] = "hold"
    limit: Annotated[NotNegative, Field(description="change of b, beyond what chance explains")] = 0.3


class Moved(StrictSettings):
    """The difficulty is another one than the bank last published, beyond its noise: an edited question, or a leak."""

    action: Action = "warn"
    limit: Annotated[NotNegative, Field(description="change of b; and")] = 0.5
    least_z: Annotated[NotNegative, Field(description="the change in units of its SE")] = 3.0


class Verdicts(StrictSettings):
    """What is judged of each item. A held item is taken out and the others are estimated without it; consumers keep its
    last published row, and irt.item_watch lists it.
    """

    reversed: Reversed = Reversed()
    flat: Flat = Flat()
    out_of_range: OutOfRange = OutOfRange()
    imprecise: Imprecise = Imprecise()
    misfit: Misfit = Misfit()
    too_few_answers: TooFewAnswers = TooFewAnswers()
    changed: Changed = Changed()
    moved: Moved = Moved()
