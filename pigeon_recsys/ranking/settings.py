"""How a ranker is trained. The defaults take seconds on one core for some 15,000 likes."""

from dataclasses import dataclass

from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True)
class RankerSettings:
    """Every choice that shapes a trained ranker."""

    table_dim: int = 16  # width of the embedding tables and of the projected pictures
    hidden_dim: int = 64  # width of the first layer over the interactions
    text_dim: int = 64  # width of hashed titles; another text embedder brings its own
    history_len: int = 20  # newest liked items that a row looks at
    unseen_user_rows: int = 4  # rows shared by users never seen
    unseen_item_rows: int = 4  # rows shared by catalog items and attribute values never seen
    negatives_per_like: int = 4  # items drawn uniformly among those the user never met
    user_dropout: float = 0.2  # share of training rows whose user is treated as never seen
    item_dropout: float = 0.3  # share whose item loses its id: half as generated, half as new
    time_dropout: float = 0.2  # share of training rows whose time is treated as not known
    holdout_share: float = 0.1  # newest share of the time line, kept for the metrics
    ndcg_negatives: int = 99  # items drawn beside a held-out like for NDCG@10
    ndcg_likes: int = 1_000  # held-out likes that NDCG@10 is measured on, at most
    epochs: int = 2  # at least
    min_steps: int = 150  # a small dataset is passed over more often, until it made this many
    batch_size: int = 512
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            _require(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        for name in ("min_steps", "negatives_per_like", "weight_decay", "seed"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in ("user_dropout", "item_dropout", "time_dropout"):
            value = getattr(self, name)
            _require(name, value, 0 <= value < 1, "at least 0 and below 1")
        is_share = 0 < self.holdout_share < 1
        _require("holdout_share", self.holdout_share, is_share, "above 0 and below 1")


_POSITIVE = (
    "table_dim",
    "hidden_dim",
    "text_dim",
    "ndcg_negatives",
    "ndcg_likes",
    "history_len",
    "unseen_user_rows",
    "unseen_item_rows",
    "epochs",
    "batch_size",
    "learning_rate",
)


def _require(name: str, value: float, is_met: bool, rule: str) -> None:
    if not is_met:
        raise SettingsError(
            f"ranker.{name} must be {rule}, got {value}. "
            f"Leave it out to use {getattr(RankerSettings, name)}."
        )
