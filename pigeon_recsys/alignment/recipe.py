"""A training recipe: sizes of the models and lengths of the stages, read from YAML.

A recipe is one of those shipped in `pigeon_recsys/recipes`, by name, or a file of your own.
"""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from pigeon_recsys.alignment.loop import LoopSettings
from pigeon_recsys.alignment.optimizers import OptimizerKind
from pigeon_recsys.alignment.pair_making import PairSettings, References
from pigeon_recsys.alignment.precision import Precision
from pigeon_recsys.alignment.preference_loss import LossKind, PreferenceLoss
from pigeon_recsys.alignment.stage2 import PreferenceSettings
from pigeon_recsys.backbones.mini.visual_tokenizer import PATCH
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.checkpoint import training_record
from pigeon_recsys.model.mask import MaskConfig, MaskKind
from pigeon_recsys.model.personalize import ReferenceForm

RECIPES = Path(__file__).parent.parent / "recipes"
LOOP_FIELDS = {field.name for field in fields(LoopSettings)} - {"seed"}
STAGE_PARTS = {"embedder", "tokenizer", "refiner", "backbone", "stage1", "pairs", "stage2"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRecipe(_Strict):
    """How one stage is trained; a step sees `batch_size` times `accumulate` examples."""

    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    warmup_steps: PositiveInt = 50
    weight_decay: float = Field(default=0.01, ge=0)
    optimizer: OptimizerKind = "adamw"
    accumulate: PositiveInt = 1
    precision: Precision = "fp32"
    patience: PositiveInt | None = None
    log_every: PositiveInt = 25
    validate_every: PositiveInt = 250
    save_every: PositiveInt = 250
    samples_every: PositiveInt = 1000

    def loop(self, seed: int) -> LoopSettings:
        """Return the settings of the train loop."""
        return LoopSettings(seed=seed, **self.model_dump(include=LOOP_FIELDS))

    def loop_given(self, default: LoopSettings) -> LoopSettings:
        """Return `default` with what this recipe states in so many words."""
        stated = self.model_dump(include=LOOP_FIELDS, exclude_unset=True)
        return replace(default, **stated)


class InputsRecipe(_Strict):
    """What Pigeon is shown, in training and later; `Inputs` says how a part is left out."""

    history: bool = True
    reference_image: bool = True
    text: bool = True


class Stage1Recipe(StageRecipe):
    """How masked preference reconstruction is trained."""

    inputs: InputsRecipe = InputsRecipe()
    targets: Literal["typical", "all"] = "typical"  # all: every window of likes, as in the paper


class PairsRecipe(_Strict):
    """How preference pairs are made; `PairSettings` says what each setting does."""

    windows: PositiveInt = 2000
    validation_windows: int = Field(default=64, ge=0)
    batch_size: PositiveInt = 8
    reference_weight: float = Field(default=0.0, ge=0, le=1)
    references: References = "own"
    temperature: PositiveFloat = 0.5  # at 0 all pictures without a mask are alike
    top_k: PositiveInt = 50
    steps: int = Field(default=4, ge=0)

    def settings(self, seed: int) -> PairSettings:
        """Return the settings of the job."""
        return PairSettings(seed=seed, **self.model_dump())


class Stage2Recipe(StageRecipe):
    """How preferences are aligned; `PreferenceLoss` and `PreferenceSettings` say more."""

    loss: LossKind = "sigmoid"
    beta: PositiveFloat = 0.1
    label_smoothing: float = Field(default=0.0, ge=0)
    min_margin: float = Field(default=0.0, ge=0)
    sft_weight: float = Field(default=0.0, ge=0)
    drops_first_token: bool = False

    @model_validator(mode="after")
    def _check(self) -> "Stage2Recipe":
        self.preference()
        return self

    def preference(self) -> PreferenceSettings:
        """Return what is minimised. Raises `SettingsError` for settings that exclude another."""
        return PreferenceSettings(
            loss=PreferenceLoss(self.loss, self.beta, self.label_smoothing),
            min_margin=self.min_margin,
            sft_weight=self.sft_weight,
            drops_first_token=self.drops_first_token,
        )


class WithholdRecipe(_Strict):
    """Which pictures no stage may see; `Withholding` says which these are."""

    attribute: str
    share: float = Field(gt=0, lt=1)


class MaskRecipe(_Strict):
    """How tokens are chosen to be hidden; `MaskConfig` says what each setting does."""

    kind: MaskKind = "trained"
    history_ratio: float = Field(default=0.2, ge=0, lt=1)


class ImageRecipe(_Strict):
    """Size of generated images in pixels; a token covers `PATCH` of them in each direction."""

    height: PositiveInt = Field(default=72, multiple_of=PATCH)
    width: PositiveInt = Field(default=72, multiple_of=PATCH)


class LanguageRecipe(_Strict):
    """Sizes of the language model."""

    dim: PositiveInt = 192
    num_layers: PositiveInt = 6
    num_heads: PositiveInt = 4
    feed_forward: PositiveInt = 512

    @model_validator(mode="after")
    def _check(self) -> "LanguageRecipe":
        step = math.lcm(2 * self.num_heads, MaskConfig().num_heads)  # a head turns pairs of numbers
        if self.dim % step:
            raise ValueError(
                f"dim must be a multiple of {step} with {self.num_heads} heads, got {self.dim}"
            )
        return self


class Recipe(_Strict):
    """One whole training: every stage in order."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    image: ImageRecipe = ImageRecipe()
    language: LanguageRecipe = LanguageRecipe()
    withhold: WithholdRecipe | None = None
    content: str | None = None  # attribute: items alike in it are pictures of the same thing
    views: PositiveInt = 1  # ways to show all pictures of a training example, see `picture_views`
    mask: MaskRecipe = MaskRecipe()
    reference: ReferenceForm = "embedding"  # as the paper has it; tokens: every kept token
    embedder: StageRecipe
    tokenizer: StageRecipe
    refiner: StageRecipe
    backbone: StageRecipe
    stage1: Stage1Recipe
    pairs: PairsRecipe | None = None  # without these two, training ends with stage 1
    stage2: Stage2Recipe | None = None

    def shared(self) -> dict[str, Any]:
        """Return, as plain data, everything that is not the part of one stage."""
        return self.model_dump(mode="json", exclude=STAGE_PARTS)

    def training_data(self, dataset: DatasetFolder) -> DatasetFolder:
        """Return what the stages may see of a dataset."""
        if self.withhold is None:
            return dataset
        rule = Withholding(self.withhold.attribute, self.withhold.share)
        return dataset.without(rule.items(dataset))


def recipe_of_run(run: Path) -> Recipe:
    """Return the recipe that a run was trained by. Raises `ArtifactError` and `SettingsError`."""
    try:
        return Recipe.model_validate(training_record(run).get("recipe"))
    except ValidationError as exc:
        raise SettingsError(
            f"{run} does not tell a recipe that this version reads: {_faults(exc)}. Name one with "
            "--recipe."
        ) from exc


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe. Raises `SettingsError` listing every fault, or the names that exist."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = RECIPES / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise SettingsError(
            f"there is no recipe {name_or_path!r}. Use one of {known}, or a path to a YAML file."
        )
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as exc:
        raise SettingsError(f"{path} is not YAML: {exc}") from exc
    except ValidationError as exc:
        raise SettingsError(f"{path}: {_faults(exc)}") from exc


def _faults(exc: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']} (got {e['input']!r})"
        for e in exc.errors()
    )
