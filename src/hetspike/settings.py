"""Settings of single stages: immutable, checked, and without a default that hides a choice.

`hetspike.study.study` combines them into a study and checks that the names in them exist. Every
number has bounds, far from any sensible value: a number beyond them is a typing error, or asks for
a run that no machine would finish.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from hetspike.errors import UserError, shortened

SEED_DRAWS = 1000  # draw d of a search under seed s has the seed s + SEED_DRAWS * d
# Backward takes about twice the operations of forward [Kaplan 2020, arXiv 2001.08361, section 2.1].
PASSES_WITH_GRADIENT = 3
MOST = 200  # characters of an error message that lists several problems


def no_truth_value(value: Any) -> Any:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is no value for this key")
    return value


def check_path(path: str) -> str:
    """Check that a path can be printed and opened."""
    if not path.isprintable():
        raise ValueError(f"'{shortened(path)}' is no path")
    return path


Int = Annotated[int, BeforeValidator(no_truth_value)]  # for items of tuples
Float = Annotated[float, BeforeValidator(no_truth_value)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(ge=1e-9, le=10)]  # a smaller rate changes no float32
Temperature = Annotated[Float, Field(ge=1e-3, le=1e3)]  # beyond, a softmax is one-hot or flat
Epochs = Annotated[int, Field(gt=0, le=10_000)]
BatchSize = Annotated[int, Field(gt=0, le=4096)]
Pixels = Annotated[float, Field(ge=0, le=1000)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]  # of recordings
Seed = Annotated[Int, Field(ge=0, lt=2**31)]  # what every generator of random numbers takes
Folder = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(check_path)]


class Settings(BaseModel):
    """Base of all settings. Objects are immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _no_truth_values = field_validator("*", mode="before")(no_truth_value)


T = TypeVar("T", bound=Settings)


def checked(model: type[T], content: Any, source: str, *keys: str) -> T:
    """Return content as settings. Raises UserError with one line that names the wrong keys.

    source  where the content comes from, for example a file name
    keys    the keys that lead to the content within the source
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first, *others = _explained(error, keys)
        problems = first
        while others and len(problems) + len(others[0]) < MOST:
            problems = f"{problems}; {others.pop(0)}"
        raise UserError(
            f"{source}: {problems}" + (f"; and {len(others)} more" if others else "")
        ) from None


def _explained(error: ValidationError, keys: tuple[str | int, ...]) -> Iterator[str]:
    """Yield a text for each problem, also for those of settings that are nested in others."""
    for problem in error.errors(include_url=False):
        inner = problem.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _explained(inner, (*keys, *problem["loc"]))
        else:
            yield _explain(problem, keys)


def _explain(problem: Any, keys: tuple[str | int, ...]) -> str:
    parts = [str(part) for part in (*keys, *problem["loc"]) if part != "[key]"]
    key = shortened(".".join(parts), 80)
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key '{key}': remove it or correct its spelling"
        case "missing":
            return f"key '{key}' is missing: add it"
        case "value_error":
            return f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
        case "too_short" | "too_long":  # pydantic's message has the number of values already
            return f"key '{key}': {problem['msg']}"
        case _:
            return f"key '{key}': {problem['msg']}, not {_shown(problem['input'])}"


def _shown(value: Any) -> str:
    """Show a value in a few characters; of a list or mapping, which may be long, its length."""
    if isinstance(value, dict | list | tuple):
        return f"{len(value)} {'keys' if isinstance(value, dict) else 'values'}"
    text = shortened(str(value), 40)
    return f"'{text}'" if isinstance(value, str) else text


class Framing(Settings):
    """How events become frames [T, 2, H, W]."""

    steps: Annotated[int, Field(gt=0, le=1000)] = Field(description="T, time steps of a recording")
    slice_by: Literal["count", "time"] = Field(
        description="steps of equal event count or of equal duration"
    )


class NetworkSettings(Settings):
    """Base of the settings of every architecture; `hetspike.networks.NETWORKS` lists them."""

    architecture: str

    @property
    @abstractmethod
    def weights(self) -> int:
        """Return the approximate number of weights of the network."""

    @abstractmethod
    def largest(self, height: int, width: int) -> int:
        """Return the number of values of the largest tensor for one frame [C, height, width]."""


class SpikformerSettings(NetworkSettings):
    """The size of a Spikformer. The paper's has width 256, depth 2, 16 heads and four pools."""

    architecture: Literal["spikformer"]
    width: Annotated[int, Field(gt=0, le=4096, multiple_of=8)] = Field(
        description="D, channels of a token"
    )
    depth: Annotated[int, Field(gt=0, le=100)] = Field(description="transformer blocks")
    heads: Annotated[int, Field(gt=0, le=4096)] = Field(
        description="attention heads; divides the width"
    )
    mlp_ratio: Annotated[int, Field(gt=0, le=64)] = Field(
        description="hidden width of the MLP, as a multiple of D"
    )
    pools: tuple[bool, bool, bool, bool] = Field(
        description="which stages of the patch splitting end in a max-pool; each halves H and W"
    )

    @model_validator(mode="after")
    def check_heads(self) -> "SpikformerSettings":
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads do not divide width {self.width}")
        return self

    @property
    def weights(self) -> int:
        """Return the weights of the blocks and the last two convolutions: nearly all there are."""
        return self.width**2 * (self.depth * (4 + 2 * self.mlp_ratio) + 9 + 5)

    def largest(self, height: int, width: int) -> int:
        """Return the number of values of its largest tensor for one frame [2, height, width].

        It is the output of a stage, the hidden layer of an MLP, or an attention matrix.

        >>> def size(pool):
        ...     rest = {"width": 64, "depth": 1, "heads": 4, "mlp_ratio": 4, "pools": [pool] * 4}
        ...     return SpikformerSettings(architecture="spikformer", **rest)
        >>> size(True).largest(32, 32)  # 8 channels
        8192
        >>> size(False).largest(32, 32)  # 4 heads
        4194304
        """
        sizes = []
        for stage, pool in enumerate(self.pools):
            sizes.append(height * width * self.width >> (3 - stage))
            if pool:  # halves both sides, rounded up
                height, width = (height + 1) // 2, (width + 1) // 2
        tokens = height * width
        return max(*sizes, tokens * self.width * self.mlp_ratio, self.heads * tokens**2)


class Augmentation(Settings):
    """The largest changes of a recording in training; its label stays the same."""

    mirror: Annotated[float, Field(ge=0, le=1)] = Field(
        description="probability of a mirrored recording; 0 where labels depend on left and right"
    )
    shear: Annotated[float, Field(ge=0, le=10)] = Field(
        description="largest shear: pixels along x per pixel along y"
    )
    shift: Pixels = Field(description="largest shift along x or along y, in pixels")
    turn: Annotated[float, Field(ge=0, le=180)] = Field(description="largest rotation, in degrees")
    cut: Pixels = Field(description="largest side of the square that is cut out, in pixels")


class Mixup(Settings):
    """Mixup: a batch is mixed with itself in reverse order, and its labels likewise."""

    alpha: Annotated[float, Field(ge=0.01, le=100)] = Field(
        description="parameter of the Beta distribution of the mixing weight"
    )
    probability: Annotated[float, Field(gt=0, le=1)] = Field(
        description="probability that a batch is mixed"
    )
    epochs: Epochs = Field(description="number of epochs with mixup, from the first epoch on")


class Schedule(Settings):
    """The schedule of a training: AdamW, linear warm-up, cosine decay, label smoothing."""

    epochs: Epochs
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        description="the first of `epochs`, in which the rate rises"
    )
    cooldown_epochs: Annotated[int, Field(ge=0)] = Field(
        0, description="the last of `epochs`, at the final rate"
    )
    batch_size: BatchSize
    learning_rate: Rate = Field(description="at the end of the warm-up")
    final_learning_rate: Rate = Field(
        description="at the start of the warm-up and at the end of the training"
    )
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(
        description="of weights only, not of biases, norms and quantizer scales"
    )
    label_smoothing: Fraction

    @model_validator(mode="after")
    def check_warmup(self) -> "Schedule":
        if self.warmup_epochs + self.cooldown_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs:g} and cooldown_epochs {self.cooldown_epochs} "
                f"are not less than epochs {self.epochs}"
            )
        return self

    def passes(self, train: int, validation: int) -> int:
        """Return the passes of one training; every epoch ends with a validation."""
        return self.epochs * (PASSES_WITH_GRADIENT * train + validation)


class Recipe(Schedule):
    """The training of a network of the study."""

    mixup: Mixup | None = None
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the products in training; the test is always in float32"
    )

    @model_validator(mode="after")
    def check_mixup(self) -> "Recipe":
        if self.mixup and self.mixup.epochs > self.epochs:
            raise ValueError(f"mixup.epochs {self.mixup.epochs} are more than epochs {self.epochs}")
        return self

    def passes(self, train: int, validation: int) -> int:
        """Return the passes of one training, with those of the statistics of its batch norms."""
        return super().passes(train, validation) + train


class Distillation(Settings):
    """Distillation: the loss compares with the logits of the float network as well as labels."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(
        description="weight of the comparison with the float network in the loss"
    )
    temperature: Temperature = Field(description="divides the logits of both networks")


class SearchSettings(Settings):
    """Base of the settings of every search; a search without settings takes this class itself.

    needs_budget  whether a run serves one budget, as of a search without scores (`hetspike.search`)
    """

    needs_budget: ClassVar[bool] = False

    def passes(self, train: int) -> int:
        """Return the passes of one search on this number of training recordings."""
        return 0


class SensitivitySettings(SearchSettings):
    """Settings of searches that use gradients of training recordings: sensitivity and fisher."""

    recordings: Count = Field(
        description="recordings whose gradients are taken; all, where there are fewer"
    )
    batch_size: BatchSize = Field(description="recordings per gradient; 1 is exact and slow")

    def passes(self, train: int) -> int:
        return PASSES_WITH_GRADIENT * min(self.recordings, train)


class DnasSettings(SearchSettings):
    """Settings of dnas, the differentiable search with Gumbel-softmax."""

    needs_budget: ClassVar[bool] = True
    recipe: Schedule = Field(description="training of the weights during the search")
    logit_learning_rate: Rate = Field(description="of Adam, for the logits of the candidates")
    temperature: tuple[Temperature, Temperature] = Field(
        description="of the Gumbel-softmax in the first and in the last epoch"
    )
    penalty: Annotated[float, Field(gt=0, le=1e6)] = Field(
        description="rho of the augmented Lagrangian for the budget, in loss per squared bit"
    )

    @model_validator(mode="after")
    def check_recipe(self) -> "DnasSettings":
        if isinstance(self.recipe, Recipe) and (
            self.recipe.mixup or self.recipe.precision != "float32"
        ):
            raise ValueError("recipe: a search neither mixes nor takes another precision")
        return self

    def passes(self, train: int) -> int:
        return self.recipe.passes(train, validation=0)
