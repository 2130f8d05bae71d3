"""A training recipe: sizes of the models and lengths of the stages, read from YAML.

A recipe is one of those shipped in `pigeon_recsys/recipes`, by name, or a file of your own.
"""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from pigeon_recsys.alignment.loop import LoopSettings
from pigeon_recsys.errors import SettingsError

RECIPES = Path(__file__).parent.parent / "recipes"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRecipe(_Strict):
    """How one stage is trained."""

    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    warmup_steps: PositiveInt = 50
    weight_decay: float = Field(default=0.01, ge=0)

    def loop(self, seed: int) -> LoopSettings:
        """Return the settings of the train loop."""
        return LoopSettings(
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup_steps=self.warmup_steps,
            weight_decay=self.weight_decay,
            seed=seed,
        )


class ImageRecipe(_Strict):
    """Size of generated images in pixels, multiples of 12."""

    height: PositiveInt = 72
    width: PositiveInt = 72


class LanguageRecipe(_Strict):
    """Sizes of the language model."""

    dim: PositiveInt = 192
    num_layers: PositiveInt = 6
    num_heads: PositiveInt = 4
    feed_forward: PositiveInt = 512


class Recipe(_Strict):
    """One whole training: every stage in order."""

    seed: int = 0
    image: ImageRecipe = ImageRecipe()
    language: LanguageRecipe = LanguageRecipe()
    embedder: StageRecipe
    tokenizer: StageRecipe
    refiner: StageRecipe
    backbone: StageRecipe
    stage1: StageRecipe


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
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']} (got {e['input']!r})"
            for e in exc.errors()
        )
        raise SettingsError(f"{path}: {faults}") from exc
