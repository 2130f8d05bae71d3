"""Export any TorchRec model built on `EmbeddingBagCollection` to one ONNX file.

In:  a model whose forward takes tensors and `KeyedJaggedTensor`s and returns one tensor.
Out: an ONNX file without TorchRec: ids arrive as values and offsets.

    input          what                                                        shape
    NAME           the tensor argument NAME of forward                         (B, ...)
    NAME.values    ids of the jagged argument NAME, key by key, bag by bag     (V,) int64
    NAME.offsets   where each bag starts, and the end of the last              (K * B + 1,) int64
    NAME.weights   one weight an id, if the example has weights                (V,)

which are the `values()`, `offsets()` and `weights()` of a `KeyedJaggedTensor` of K keys. B is 1 or
more and V is 0 or more, both free at every run; a bag may be empty. An id is a row of its table,
from 0 to below the table's rows, or the run fails. The file's metadata `torchrec.keys` lists the
keys of each input in their order.

`repeated` is for requests that rank many rows for one user: the inputs it lists are given once a
request, and one more input BY says for each row which request it belongs to. Keys that repeat
leave `NAME.values` for `NAME.BY.values` and so on. Their tables are then read once a request.

`once` is for models that are written to take one row of some arguments for all rows of the others.

A collection becomes its twin of `torchrec_twin.py`.
"""

import copy
import json
import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from pigeon_recsys.errors import MissingExtra, RankingError, SettingsError
from pigeon_recsys.files import atomic_path, check_writable
from pigeon_recsys.ranking.torchrec_twin import Pack, PooledTables, RaggedBags

OPSET = 18  # the lowest that torch's exporter writes without converting versions
EXAMPLE_ROWS = 3  # sizes that differ from one another and from 1, which would be taken as fixed
EXAMPLE_REQUESTS = 2
EXAMPLE_VALUES = 5
MAX_BYTES = 2**31 - 2**20  # what one ONNX file can hold, less room for the graph

KEYS_KEY = "torchrec.keys"
CHATTY_LOGGERS = ("torch.onnx", "onnx_ir")  # they comment on every step of an export

ModelInput: TypeAlias = Tensor | KeyedJaggedTensor


def export_torchrec(
    model: nn.Module,
    out: Path,
    example: Mapping[str, ModelInput],
    *,
    output: str = "output",
    repeated: Mapping[str, Sequence[str]] | None = None,
    once: Collection[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write the model to the ONNX file `out` and return its bytes.

    `example` names the arguments of `model.forward`; of a tensor its width and type are taken, of
    a `KeyedJaggedTensor` its keys. `repeated` maps the name of an input to be added to the
    tensors and keys that it repeats. `once` names arguments that have one row, whatever the others
    have. The model itself is left as it is.
    """
    check_writable(out)
    onnx = _import_onnx()
    inputs = _PlainInputs(model, example, repeated or {}, once)
    proto = _to_onnx(inputs, output)
    onnx.helper.set_model_props(proto, {KEYS_KEY: json.dumps(inputs.keys), **(metadata or {})})
    with atomic_path(out) as temporary:
        onnx.save(proto, temporary)
    return out.stat().st_size


class _PlainInputs(nn.Module):
    """The model, called with a list of tensors."""

    def __init__(
        self,
        model: nn.Module,
        example: Mapping[str, ModelInput],
        repeated: Mapping[str, Sequence[str]],
        once: Collection[str],
    ) -> None:
        super().__init__()
        self.model = _traceable(model)
        self.jagged: dict[str, list[str]] = {}  # of a jagged argument, its packs by name
        self.keys: dict[str, list[str]] = {}  # of a pack, its keys
        self.repeated_by = {name: by for by, names in repeated.items() for name in names}
        self.dense: list[str] = []
        self.names: list[str] = []
        self.tensors: list[Tensor] = []
        self.dims: list[dict[int, Any]] = []
        self._once = frozenset(once)
        self._rows = torch.export.Dim("rows", min=1)
        self._requests = {
            by: torch.export.Dim(f"requests_{n}", min=1) for n, by in enumerate(repeated)
        }
        for name, value in example.items():
            if isinstance(value, KeyedJaggedTensor):
                self._add_jagged(name, value)
            else:
                self._add_dense(name, value)
        for by in repeated:
            self._add(by, torch.zeros(EXAMPLE_ROWS, dtype=torch.int64), {0: self._rows})
        self._check_names()

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Return the model's output."""
        given = dict(zip(self.names, tensors, strict=True))
        arguments: dict[str, Tensor | RaggedBags] = {
            name: RaggedBags(tuple(self._pack(pack, given) for pack in packs))
            for name, packs in self.jagged.items()
        }
        for name in self.dense:
            by = self.repeated_by.get(name)
            tensor = given[name]
            arguments[name] = tensor if by is None else tensor.index_select(0, given[by])
        output: Tensor = self.model(**arguments)
        return output

    def _pack(self, pack: str, given: Mapping[str, Tensor]) -> Pack:
        keys = self.keys[pack]
        by = self.repeated_by.get(keys[0])
        return Pack(
            keys=tuple(keys),
            values_V=given[f"{pack}.values"],
            offsets=given[f"{pack}.offsets"],
            weights_V=given.get(f"{pack}.weights"),
            rows_B=None if by is None else given[by],
        )

    def _add_dense(self, name: str, value: Tensor) -> None:
        if value.ndim == 0:
            raise SettingsError(f"the example {name!r} must have rows, got a tensor without any")
        dim, size = self._dim_of(name, self.repeated_by.get(name))
        self.dense.append(name)
        self._add(name, value.new_zeros(size, *value.shape[1:]), {0: dim} if dim else {})

    def _add_jagged(self, name: str, value: KeyedJaggedTensor) -> None:
        keys_by: dict[str | None, list[str]] = {}
        for key in list(value.keys()):
            keys_by.setdefault(self.repeated_by.get(key), []).append(key)
        self.jagged[name] = []
        for by, keys in keys_by.items():
            pack = name if by is None else f"{name}.{by}"
            self.jagged[name].append(pack)
            self.keys[pack] = keys
            rows = self._dim_of(name, by)
            self._add_pack(pack, rows, len(keys), is_weighted=value.weights_or_none() is not None)

    def _add_pack(
        self, pack: str, rows: tuple[Any, int], num_keys: int, *, is_weighted: bool
    ) -> None:
        dim, size = rows
        num_values = torch.export.Dim(f"values_{len(self.names)}")
        offsets = torch.tensor([0, *[2] * (num_keys * size - 1), EXAMPLE_VALUES])
        ids = torch.zeros(EXAMPLE_VALUES, dtype=torch.int64)
        self._add(f"{pack}.values", ids, {0: num_values})
        self._add(f"{pack}.offsets", offsets, {0: num_keys * dim + 1} if dim else {})
        if is_weighted:
            self._add(f"{pack}.weights", torch.ones(EXAMPLE_VALUES), {0: num_values})

    def _dim_of(self, argument: str, by: str | None) -> tuple[Any, int]:
        """Return the dimension of an argument's rows and how many the example has; None is 1."""
        if argument in self._once:
            return None, 1
        return (self._rows, EXAMPLE_ROWS) if by is None else (self._requests[by], EXAMPLE_REQUESTS)

    def _add(self, name: str, tensor: Tensor, dims: dict[int, Any]) -> None:
        self.names.append(name)
        self.tensors.append(tensor)
        self.dims.append(dims)

    def _check_names(self) -> None:
        arguments = {*self.dense, *self.jagged}
        if stray := sorted(self._once - arguments):
            raise SettingsError(
                f"once names {', '.join(stray)}, which is no argument of the example. "
                f"Those are: {', '.join(sorted(arguments))}."
            )
        known = {*self.dense, *(key for keys in self.keys.values() for key in keys)}
        unknown = sorted(self.repeated_by.keys() - known)
        if unknown:
            raise SettingsError(
                f"repeated names {', '.join(unknown)}, which is no tensor or key of the example. "
                f"Those are: {', '.join(sorted(known))}."
            )
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise SettingsError(
                f"two inputs would be named {', '.join(twice)}. Rename an argument of the model."
            )


def _traceable(model: nn.Module) -> nn.Module:
    """Return the model on the same weights, with every collection of tables replaced."""
    num_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    if num_bytes > MAX_BYTES:
        raise RankingError(
            f"the model's weights take {num_bytes} bytes, one ONNX file holds {MAX_BYTES}. "
            "Hash the ids of its largest table into fewer rows."
        )
    for name, module in model.named_modules():
        if isinstance(module, EmbeddingCollection):
            raise RankingError(
                f"{name or 'the model'} is an EmbeddingCollection, which gives ragged vectors. "
                "Only EmbeddingBagCollection, which pools them, can be exported."
            )
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    twin = copy.deepcopy(model, memo=shared).eval()
    if isinstance(twin, EmbeddingBagCollection):
        raise RankingError("an EmbeddingBagCollection alone has no tensor to return; wrap it.")
    for module in list(twin.modules()):
        for name, child in module.named_children():
            if isinstance(child, EmbeddingBagCollection):
                setattr(module, name, PooledTables(child))
    return twin


def _to_onnx(inputs: _PlainInputs, output: str) -> Any:
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's notes on its own deprecations
            program = torch.onnx.export(
                inputs.eval(),
                (inputs.tensors,),
                input_names=inputs.names,
                output_names=[output],
                dynamic_shapes=(inputs.dims,),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as exc:
        raise RankingError(f"torch {torch.__version__} could not export the model: {exc}") from exc
    if program is None:
        raise AssertionError("torch.onnx.export with dynamo=True returns a program")
    return program.model_proto


def _import_onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter is built on it
    except ModuleNotFoundError as exc:
        raise MissingExtra("onnx", needed_for="exporting a ranker", library=exc.name) from exc
    return onnx
