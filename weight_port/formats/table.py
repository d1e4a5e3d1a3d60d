"""The file formats, one row each: how they are told apart. Standard library only."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """One kind of file."""

    name: str
    suffixes: tuple[str, ...]  # none: a directory
    note: str
    written: bool = True


PADDLE1_FOLDER = Format(
    "paddle1-folder",
    (),
    "Paddle 1.x, one file per variable: save_params, save_vars, save_persistables",
)
PDPARAMS = Format(
    "pdparams",
    (".pdparams", ".pdopt"),
    "paddle.save: pickle protocols 0 to 5, read by an interpreter that can only build data",
)
PDIPARAMS = Format(
    "pdiparams",
    (".pdiparams",),
    "combined file, also __params__; named from the .pdmodel, __model__ or PIR .json beside it, "
    "else from its shapes",
)
SAFETENSORS = Format(
    "safetensors",
    (".safetensors",),
    "memory-mapped; metadata written: dialect, architecture, the source's name and SHA-256",
)
SHARDED = Format(
    "safetensors-sharded",
    (".safetensors.index.json",),
    "model.safetensors.index.json and the shards beside it",
    written=False,
)
SHARDED_TORCH = Format(
    "pth-sharded",
    (".bin.index.json", ".pth.index.json", ".pt.index.json"),
    "pytorch_model.bin.index.json and the shards beside it",
    written=False,
)
PTH = Format(
    "pth",
    (".pth", ".pt"),
    "torch.save: zip and legacy read, zip written, without torch",
)
NPZ = Format(
    "npz",
    (".npz",),
    "numpy.savez, and numpy.savez_compressed within bounds; written uncompressed",
)
ONNX = Format(
    "onnx",
    (".onnx",),
    "initializers and constants, with the data beside the model; folded batch norms are said",
    written=False,
)
HDF5 = Format(
    "hdf5",
    (".h5", ".hdf5"),
    "Keras 2 and 3 (.h5, .weights.h5) and Caffe's snapshots; arrays as views, no h5py",
    written=False,
)
KERAS = Format(
    "keras",
    (".keras",),
    "Keras 3's archive: its weights, named from its configuration",
    written=False,
)
CAFFEMODEL = Format(
    "caffemodel",
    (".caffemodel",),
    "Caffe's blobs by layer and number, of its layers old and new",
    written=False,
)
FLAX = Format(
    "flax",
    (".msgpack",),
    "flax.serialization's MessagePack, arrays as views",
    written=False,
)
NPY = Format(
    "npy",
    (".npy",),
    "numpy.save of a dict: a pickle, read as .pdparams are",
    written=False,
)
PICKLE = Format(
    "pickle",
    (".pkl", ".pickle"),
    "a dict of NumPy arrays: Caffe2's and Detectron's blobs, detectron2's models",
    written=False,
)
PT2 = Format(
    "pt2",
    (".pt2",),
    "torch.export.save: the weights of an exported program, in its layouts old and new",
    written=False,
)
FORMATS = {
    row.name: row
    for row in (
        *(PADDLE1_FOLDER, PDPARAMS, PDIPARAMS, SAFETENSORS, SHARDED, SHARDED_TORCH, PTH, NPZ),
        *(ONNX, HDF5, KERAS, CAFFEMODEL, FLAX, NPY, PICKLE, PT2),
    )
}
INDEXES = (*SHARDED.suffixes, *SHARDED_TORCH.suffixes)
# The weights in a folder of Hugging Face's, in the order in which transformers looks for them
# (modeling_utils.py, _get_resolved_checkpoint_files): they are the same network in each.
HUGGING_FACE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
)
SUFFIXES = {suffix: row for row in FORMATS.values() for suffix in row.suffixes}
WRITABLE = {suffix: row for suffix, row in SUFFIXES.items() if row.written}

COMBINED_NAME = "__params__"  # of Paddle 1.x, without a suffix
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# A dict and an OrderedDict of pickle protocols 0 and 1, which have no opcode of their own.
_OLD_DICTS = (b"(dp", b"}q", b"ccollections\nOrderedDict\n")
_KERAS_FIRST = (b"metadata.json", b"config.json", b"model.weights.h5")  # of an archive's members
BOM = b"\xef\xbb\xbf"
HEAD = 512  # bytes that ``by_content`` looks at


def by_name(name: str) -> Format | None:
    """The format that a file's name promises, None where it promises none."""
    if name == COMBINED_NAME:
        return PDIPARAMS
    return next((row for suffix, row in SUFFIXES.items() if name.endswith(suffix)), None)


def holds_metadata(name: str) -> bool:
    """Whether a file of this name has room for what is said of its tensors: the source's digest."""
    return by_name(name) is SAFETENSORS


def by_content(head: bytes, name: str) -> Format | None:
    """The format that a file's first bytes show, None where they show none of ours."""
    if head.startswith(b"PK\x03\x04"):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        if first in _KERAS_FIRST or name.endswith(KERAS.suffixes):
            return KERAS
        if b"/data/weights/" in first or name.endswith(PT2.suffixes):
            return PT2
        return NPZ if first.endswith(b".npy") else PTH
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return HDF5
    # Editors on Windows put a byte-order mark before it.
    if head.removeprefix(BOM)[:1] == b"{" and name.endswith(INDEXES):
        return by_name(name)
    # A record of version 0 without LoD levels, then the length and the tag of its description.
    if len(head) > 20 and head[:16] == bytes(16) and head[20:21] == b"\x08":
        return PDIPARAMS
    if len(head) > 8 and head[8:9] == b"{" and not _is_text(head[:8]):
        return SAFETENSORS
    if head[:1] == b"\x80" and _TORCH_MAGIC in head[:64]:
        return PTH
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or head.startswith(_OLD_DICTS):
        return PICKLE if name.endswith(PICKLE.suffixes) else PDPARAMS
    if head.startswith(b"\x93NUMPY"):
        return NPY
    # A map of MessagePack, which may begin as a pickle does.
    if name.endswith(FLAX.suffixes) and (0x80 < head[0] < 0x90 or head[0] in (0xDE, 0xDF)):
        return FLAX
    # Messages have no magic number: a model's first field is its ir_version.
    if name.endswith(ONNX.suffixes) and head[:1] == b"\x08":
        return ONNX
    # Of its fields a net's name comes first, or, where it has none, a layer.
    if name.endswith(CAFFEMODEL.suffixes) and head[:1] in (b"\x0a", b"\x12", b"\xa2"):
        return CAFFEMODEL
    return None


def _is_text(start: bytes) -> bool:
    """Whether it begins as text does, which may have a ``{`` anywhere."""
    return start.isascii() and start.decode().isprintable()
