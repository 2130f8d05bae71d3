"""The mini backbone put together: tokenizer, Llama, detokenizer, and their folder on disk.

Folder: `backbone.json` (sizes), `text_tokenizer.json`, `tokenizer.safetensors`,
`refiner.safetensors`, `language_model.safetensors`.
"""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from diffusers.utils.torch_utils import randn_tensor
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, LlamaConfig, LlamaModel

from pigeon_recsys.backbones.base import BackboneSpec
from pigeon_recsys.backbones.mini.code_table import CodeTable, built_once
from pigeon_recsys.backbones.mini.refiner import Refiner, RefinerConfig
from pigeon_recsys.backbones.mini.text import load_text_tokenizer
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer, VisualTokenizerConfig
from pigeon_recsys.backbones.weights import load_weights, save_weights
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import write_text_atomic

# B rows, T tokens, C colours, H height, W width, D width of the language model, V visual ids

MARKERS = ("document_start", "image_start", "image_end")
MAX_CONTEXT = 1024  # tokens: six images of 54 tokens and long titles fit twice
REBUILD = "pigeon-recsys train backbone --data DIR --out RUN"


@dataclass(frozen=True)
class MiniConfig:
    """Sizes of the mini backbone."""

    num_text: int
    dim: int = 192
    num_layers: int = 6
    num_heads: int = 4
    feed_forward: int = 512
    tokenizer: VisualTokenizerConfig = field(default_factory=VisualTokenizerConfig)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)


class MiniBackbone(nn.Module):
    """A multimodal model of a few million parameters behind the backbone protocol.

    Visual tokens carry a learned embedding of their place in the image beside that of their
    id, so that a language model this small need not count tokens.
    """

    def __init__(self, config: MiniConfig, text_tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config = config
        self.text_tokenizer = text_tokenizer
        self.tokenizer = VisualTokenizer(config.tokenizer)
        self.refiner = Refiner(config.refiner)
        self.spec = BackboneSpec(
            name="mini",
            image_height=config.tokenizer.height,
            image_width=config.tokenizer.width,
            rows=config.tokenizer.rows,
            columns=config.tokenizer.columns,
            num_visual=self.tokenizer.num_codes,
            dim=config.dim,
            num_layers=config.num_layers,
            feature_dim=config.tokenizer.dim,
        )
        self.language_model: nn.Module = LlamaModel(
            LlamaConfig(
                vocab_size=config.num_text + len(MARKERS),
                hidden_size=config.dim,
                intermediate_size=config.feed_forward,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                num_key_value_heads=config.num_heads,
                max_position_embeddings=MAX_CONTEXT,
            )
        )
        self.place_embedding = nn.Embedding(self.spec.tokens_per_image, config.dim)
        self.visual_embedding = CodeTable(self.tokenizer.quantizer, config.dim)
        self.visual_head = CodeTable(self.tokenizer.quantizer, config.dim)
        nn.init.normal_(self.place_embedding.weight, std=0.02)

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table over text ids and markers, in this order."""
        table = self.language_model.get_input_embeddings()  # type: ignore[operator]
        assert isinstance(table, nn.Embedding)
        return table

    def tokenize_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Return visual_BT for pixels in [-1, 1]."""
        return self.tokenizer.encode(pixels_BCHW)

    def tokenize_text(self, text: str) -> list[int]:
        """Return text ids, without special tokens; never fails on unknown characters."""
        return list(self.text_tokenizer.encode(text).ids)

    def embed_text(self, text_BT: Tensor) -> Tensor:
        """Return embedding_BTD of text ids."""
        embedding_BTD: Tensor = self.token_embedding(text_BT)
        return embedding_BTD

    def embed_visual(self, visual_BT: Tensor, first_position: int = 0) -> Tensor:
        """Return embedding_BTD; `first_position` is the first token's place in its image."""
        num_tokens = visual_BT.shape[-1]
        place_TD = self.place_embedding.weight[first_position : first_position + num_tokens]
        return functional.embedding(visual_BT, self.visual_embedding()) + place_TD

    def marker(self, name: str) -> Tensor:
        """Return embedding_1D of `document_start`, `image_start` or `image_end`."""
        row = self.config.num_text + MARKERS.index(name)
        return self.token_embedding.weight[row : row + 1]

    def hidden(
        self,
        embeds_BTD: Tensor,
        attend: Tensor | None,
        cache: Cache | None = None,
        position_BT: Tensor | None = None,
    ) -> Tensor:
        """Run the language model and return hidden_BTD; a cache is extended in place."""
        mask = attend
        if attend is not None and attend.ndim == 3:  # added to the logits of every layer's heads
            mask = torch.zeros_like(attend, dtype=embeds_BTD.dtype)
            mask = mask.masked_fill_(~attend, -torch.inf)[:, None]
        output = self.language_model(
            inputs_embeds=embeds_BTD,
            attention_mask=mask,
            position_ids=position_BT,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        hidden_BTD: Tensor = output.last_hidden_state
        return hidden_BTD

    def visual_logits(self, hidden_BTD: Tensor) -> Tensor:
        """Return logit_BTV over visual ids alone."""
        logit_BTV: Tensor = hidden_BTD @ self.visual_head().T
        return logit_BTV

    def frozen(self) -> AbstractContextManager[None]:
        """Inside the block weights do not change: the tables of visual ids are built once."""
        return built_once(self.visual_embedding, self.visual_head)

    def features(self, visual_BT: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        """Return feature_BTF of the detokenizer's feature decoder, hidden tokens silenced."""
        return self.tokenizer.features(visual_BT, keep_BT)

    @torch.no_grad()
    def detokenize(
        self, visual_BT: Tensor, steps: int, generator: torch.Generator | list[torch.Generator]
    ) -> Tensor:
        """Return pixels_BCHW in [-1, 1] from `steps` diffusion steps; 0 steps give the soft one."""
        soft_BCHW = self.tokenizer.paint(visual_BT)
        if steps == 0:
            return soft_BCHW
        noise = randn_tensor(tuple(soft_BCHW.shape), generator, device=soft_BCHW.device)
        return self.refiner.sample(soft_BCHW, steps, noise)

    def save(self, folder: Path) -> None:
        """Write weights as safetensors and settings as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(folder / "tokenizer.safetensors", self.tokenizer.state_dict())
        save_weights(folder / "refiner.safetensors", self.refiner.state_dict())
        language = self.language_modules()
        save_weights(folder / "language_model.safetensors", language.state_dict())
        self.text_tokenizer.save(str(folder / "text_tokenizer.json"))
        write_text_atomic(folder / "backbone.json", json.dumps(asdict(self.config), indent=2))

    @classmethod
    def load(cls, folder: Path) -> "MiniBackbone":
        """Read a folder that `save` wrote. Raises `ArtifactError` naming the file at fault."""
        config = load_config(folder / "backbone.json")
        text_path = folder / "text_tokenizer.json"
        if not text_path.is_file():
            raise ArtifactError(text_path, "is missing", rebuild=REBUILD)
        backbone = cls(config, load_text_tokenizer(text_path))
        load_weights(folder / "tokenizer.safetensors", backbone.tokenizer, rebuild=REBUILD)
        load_weights(folder / "refiner.safetensors", backbone.refiner, rebuild=REBUILD)
        language = backbone.language_modules()
        load_weights(folder / "language_model.safetensors", language, rebuild=REBUILD)
        return backbone.eval()

    def language_modules(self) -> nn.ModuleDict:
        """Return what reads and writes tokens, as one module to train or save."""
        return nn.ModuleDict(
            {
                "language_model": self.language_model,
                "place_embedding": self.place_embedding,
                "visual_embedding": self.visual_embedding,
                "visual_head": self.visual_head,
            }
        )


def load_config(path: Path) -> MiniConfig:
    """Read `backbone.json`. Raises `ArtifactError` when it is missing or does not fit."""
    try:
        values = json.loads(path.read_text())
        tokenizer = values.pop("tokenizer")
        tokenizer["levels"] = tuple(tokenizer["levels"])
        refiner = values.pop("refiner")
        refiner["channels"] = tuple(refiner["channels"])
        return MiniConfig(
            tokenizer=VisualTokenizerConfig(**tokenizer), refiner=RefinerConfig(**refiner), **values
        )
    except FileNotFoundError as exc:
        raise ArtifactError(path, "is missing", rebuild=REBUILD) from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise ArtifactError(path, f"does not describe a backbone ({exc})", rebuild=REBUILD) from exc
