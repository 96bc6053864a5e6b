"""The settings that single stages take: frozen, checked, and without a default that hides a choice.

`hetspike.study` puts them together into a study and checks names against what exists.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from hetspike.errors import UserError

Fraction = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=Settings)


def checked(model: type[T], content: Any, source: str, *keys: str) -> T:
    """The content as settings. Raises UserError with one line that names every wrong key.

    source  what the content comes from, a file name for example
    keys    where in it the content stands
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_explain(problem, keys) for problem in error.errors())
        raise UserError(f"{source}: {problems}") from None


def _explain(problem: Any, keys: tuple[str, ...]) -> str:
    key = ".".join(str(part) for part in (*keys, *problem["loc"]) if part != "[key]")
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key '{key}': remove it or correct its spelling"
        case "missing":
            return f"key '{key}' is missing: add it"
        case "value_error":
            return f"{key + ': ' if key else ''}{problem['ctx']['error']}"
        case _:
            return f"key '{key}': {problem['msg']}, not {problem['input']!r}"


class Framing(Settings):
    """How events become frames [T, 2, H, W]."""

    steps: PositiveInt = Field(description="T, frames a recording")
    slice_by: Literal["count", "time"] = Field(
        description="equal event count or equal duration per frame"
    )


class Network(Settings):
    """The Spikformer's size; the paper's is width 256, depth 2, heads 16, four pools."""

    width: Annotated[int, Field(gt=0, multiple_of=8)] = Field(description="D, channels of a token")
    depth: PositiveInt = Field(description="transformer blocks")
    heads: PositiveInt = Field(description="attention heads; divides the width")
    mlp_ratio: PositiveInt = Field(description="hidden width of the MLP over D")
    pools: tuple[bool, bool, bool, bool] = Field(
        description="which stages of the patch splitting end in a max-pool; each halves H and W"
    )


class Augmentation(Settings):
    """How far a recording may be changed without another label: see `hetspike.augmentation`."""

    mirror: Annotated[float, Field(ge=0, le=1)] = Field(
        description="how often left and right change places; 0 where labels tell them apart"
    )
    shear: Annotated[float, Field(ge=0)] = Field(description="most, pixels along x a pixel of y")
    shift: Annotated[float, Field(ge=0)] = Field(description="most, pixels along x or along y")
    turn: Annotated[float, Field(ge=0, le=180)] = Field(description="most, degrees")
    cut: Annotated[float, Field(ge=0)] = Field(description="largest side of the square, pixels")


class Mixup(Settings):
    """Batches mixed with themselves in another order, labels likewise."""

    alpha: Rate = Field(description="of the Beta distribution that a batch's share is drawn from")
    probability: Annotated[float, Field(gt=0, le=1)] = Field(
        description="how often a batch is mixed"
    )
    epochs: PositiveInt = Field(description="from the first on; none is mixed afterwards")


class Recipe(Settings):
    """One training schedule: AdamW, linear warm-up, cosine decay, label smoothing."""

    epochs: PositiveInt
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(description="part of `epochs`")
    cooldown_epochs: Annotated[int, Field(ge=0)] = Field(
        0, description="part of `epochs`: the last ones, all at the final rate"
    )
    batch_size: PositiveInt
    learning_rate: Rate = Field(description="at the end of the warm-up")
    final_learning_rate: Rate = Field(description="at the start of the warm-up and at the end")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        description="on weights alone; never on biases, norms and quantizer scales"
    )
    label_smoothing: Fraction
    mixup: Mixup | None = None
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the products in training; whatever it is, the test is in float32"
    )

    @model_validator(mode="after")
    def check_warmup(self) -> "Recipe":
        if self.warmup_epochs + self.cooldown_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs:g} and cooldown_epochs {self.cooldown_epochs} "
                f"are not less than epochs {self.epochs}"
            )
        return self


class Distillation(Settings):
    """Learning from the float network's answers as well as from the labels."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(
        description="of the loss that compares with the float network"
    )
    temperature: Rate = Field(description="by which both networks' logits are divided")


class SensitivitySettings(Settings):
    """Second-order rise of the loss from gradients of training recordings."""

    recordings: PositiveInt = Field(description="whose gradients are taken")
    batch_size: PositiveInt = Field(description="recordings to a gradient; 1 is exact and slow")


class DnasSettings(Settings):
    """Differentiable search with Gumbel-softmax; `recipe` trains the mixed weights."""

    recipe: Recipe
    logit_learning_rate: Rate = Field(description="Adam's, for the logits of the candidates")
    temperature: tuple[Rate, Rate] = Field(description="of the softmax, first and last epoch")
    penalty: Rate = Field(description="rho of the augmented Lagrangian on the budget, loss / bit^2")
