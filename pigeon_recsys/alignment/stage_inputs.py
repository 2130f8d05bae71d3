"""What a recipe and a dataset come to when a stage begins: sizes of models, pictures as ids.

In:  a recipe, the part of a dataset that training may see, the run folder.
Out: configurations, tables of pixels and ids, what an earlier stage has left.
"""

from pathlib import Path

from pigeon_recsys.alignment.examples import ItemTokens, tokenize_items
from pigeon_recsys.alignment.picture_views import draw_views
from pigeon_recsys.alignment.recipe import Recipe
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.backbones.mini.backbone import MiniBackbone, MiniConfig
from pigeon_recsys.backbones.mini.text import VOCABULARY_SIZE
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer, VisualTokenizerConfig
from pigeon_recsys.backbones.weights import load_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.ablation import Inputs
from pigeon_recsys.model.mask import MaskConfig
from pigeon_recsys.model.personalize import PersonalizeConfig
from pigeon_recsys.model.pigeon import PigeonConfig

TOKENIZER_FILE = Path("backbone") / "tokenizer.safetensors"


def tokenizer_config(recipe: Recipe) -> VisualTokenizerConfig:
    """Return the sizes of the tokenizer."""
    return VisualTokenizerConfig(height=recipe.image.height, width=recipe.image.width)


def mini_config(recipe: Recipe) -> MiniConfig:
    """Return the sizes of the backbone."""
    language = recipe.language
    return MiniConfig(
        num_text=VOCABULARY_SIZE,
        dim=language.dim,
        num_layers=language.num_layers,
        num_heads=language.num_heads,
        feed_forward=language.feed_forward,
        tokenizer=tokenizer_config(recipe),
    )


def pigeon_config(recipe: Recipe) -> PigeonConfig:
    """Return what the recipe says of Pigeon's own modules."""
    return PigeonConfig(
        mask=MaskConfig(kind=recipe.mask.kind, history_ratio=recipe.mask.history_ratio),
        personalize=PersonalizeConfig(reference_form=recipe.reference),
        inputs=Inputs(**recipe.stage1.inputs.model_dump()),
    )


def pixel_table(recipe: Recipe, dataset: DatasetFolder) -> PixelTable:
    """Return all pictures of the dataset at the recipe's size."""
    return PixelTable.load(dataset, dataset.item_ids, recipe.image.height, recipe.image.width)


def same_content(recipe: Recipe, dataset: DatasetFolder) -> SameContent | None:
    """Return which items show the same thing; None where training takes no notice.

    With references as tokens the language model must have met some, if only masked pictures of
    the items themselves.
    """
    if recipe.content is not None:
        return SameContent.read(dataset, recipe.content)
    return SameContent.none(len(dataset.item_ids)) if recipe.reference == "tokens" else None


def trained_tokenizer(recipe: Recipe, run: Path) -> VisualTokenizer:
    """Return the tokenizer that an earlier stage left in the run folder."""
    tokenizer = VisualTokenizer(tokenizer_config(recipe))
    rebuild = f"pigeon-recsys train tokenizer --data DIR --out {run}"
    load_weights(run / TOKENIZER_FILE, tokenizer, rebuild=rebuild)
    return tokenizer.eval()


def item_tokens(recipe: Recipe, dataset: DatasetFolder, backbone: MiniBackbone) -> ItemTokens:
    """Return the items as ids in all of the recipe's views, on the backbone's device."""
    pixels = pixel_table(recipe, dataset).pixels
    views = draw_views(recipe.views, recipe.seed)
    return tokenize_items(backbone.tokenizer, backbone, dataset, pixels, views)


def training_texts(dataset: DatasetFolder) -> list[str]:
    """Return all words that a prompt may hold, for the text tokenizer to learn from."""
    words = Instruction()
    fixed = [words.before_history, words.before_reference]
    return fixed + [dataset.item(item_id).instruction for item_id in dataset.item_ids]
