"""Write the seeds of the corpus: small sound files of every format, the same bytes every time.

python tests/fuzz/write_corpus.py [FOLDER]    (the folder beside this file)

Some by weight_port's own writers, the others as Paddle, torch and NumPy write them; that these are
what the frameworks write is for ``tests/weight_port/formats`` to show. Inputs that once broke a
reader stand beside the seeds as ``crash-…``; they are not written here.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import ml_dtypes
import msgpack
import numpy as np

from weight_port.formats import npz, paddle1, pdiparams, pdparams, pth_writer, safetensors
from weight_port.formats.table import COMBINED_NAME
from weight_port.pickles import writer as op
from weight_port.storage.protobuf import encode_varint

ARRAYS = {
    "conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "n": np.array(7, dtype=np.int64),
    "half": np.arange(4, dtype=np.float32).astype(ml_dtypes.bfloat16),
}
NAMES = {"conv.weight": "conv_0.w_0", "n": "n_0", "half": "half_0"}


def _bytes(write, *arguments: object) -> bytes:
    stream = io.BytesIO()
    write(stream, *arguments)
    return stream.getvalue()


# -- pickles


def _array(array: np.ndarray, core: str = "numpy.core.multiarray", latin1: bool = False) -> bytes:
    """An array as NumPy pickles it: bytes in protocol 4, text to be encoded in protocol 2."""
    raw = array.tobytes()
    data = op.data_head(len(raw)) + raw
    if latin1:
        data = op.call(
            op.global_("_codecs", "encode"), op.text(raw.decode("latin1")), op.text("latin1")
        )
    new = op.call(
        op.global_(core, "_reconstruct"),
        op.global_("numpy", "ndarray"),
        op.integers([0]),
        op.text("b"),
    )
    dtype = op.call(
        op.global_("numpy", "dtype"), op.text(array.dtype.str[1:]), op.FALSE, op.TRUE
    ) + (op.tuple_(op.integer(3), op.text("<"), op.NONE, op.NONE, op.NONE) + op.BUILD)
    state = op.tuple_(op.integer(1), op.integers(array.shape), dtype, op.FALSE, data)
    return new + state + op.BUILD


def _dict(items: dict[str, bytes]) -> bytes:
    inside = b"".join(op.text(key) + value for key, value in items.items())
    return op.DICT + op.MARK + inside + op.SET_ITEMS


def _named(name: str, array: bytes) -> bytes:
    return op.call(op.global_("builtins", "tuple"), op.tuple_(op.text(name), array))


def _pdparams() -> dict[str, bytes]:
    w = ARRAYS["conv.weight"]
    parts = {f"w@@.{n}": _array(w[n], latin1=True) for n in (0, 1)}
    table = pickle.dumps({"w": {"OriginShape": (2, 3), "slices": list(parts)}}, protocol=2)[2:-1]
    bare = op.call(op.global_("builtins", "eval"), op.text("data"), _dict({"data": _array(w)}))
    optimizer = {"LR_Scheduler": _dict({"last_lr": b"G" + struct.pack(">d", 0.1)}), "v": _array(w)}
    bodies = {
        "protocol-2": _dict({**parts, pdparams.SLICES: table}),
        "protocol-4": _dict({"w": _named("w_0", _array(w, "numpy._core.multiarray")), "b": bare}),
        "nested": _dict({"model": _dict(optimizer), "epoch": op.integer(3)}),
    }
    written = {f"{name}": op.protocol(4) + body + op.STOP for name, body in bodies.items()}
    return {**written, "ours": _bytes(pdparams.write, ARRAYS, NAMES)}


# -- torch


def _torch_tensor(
    key: str, shape: tuple[int, ...], strides: tuple[int, ...], *metadata: bytes
) -> bytes:
    identity = op.tuple_(
        op.text("storage"), op.global_("torch", "FloatStorage"), op.text(key), op.text("cpu"),
        op.integer(6), op.NONE,
    )  # fmt: skip
    return op.call(
        op.global_("torch._utils", "_rebuild_tensor_v2"),
        identity + op.PERSISTENT_ID,
        op.integer(0),
        op.integers(shape),
        op.integers(strides),
        op.FALSE,
        op.call(op.global_("collections", "OrderedDict")),
        *metadata,
    )


def _signs() -> bytes:
    """Tensors that torch is to negate, one of them another device's, one a parameter."""
    bits = _dict({"neg": op.TRUE, "conj": op.FALSE})
    negated = _torch_tensor("0", (2, 3), (3, 1), bits)
    device = op.call(
        op.global_("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
        negated, op.global_("torch", "float32"), op.text("xla:0"), op.FALSE,
    )  # fmt: skip
    parameter = op.call(
        op.global_("torch._utils", "_rebuild_parameter_with_state"),
        negated, op.TRUE, op.DICT, _dict({"tag": op.integer(1)}),
    )  # fmt: skip
    tensors = {"w": negated, "device": device, "parameter": parameter}
    members = {
        "x/data.pkl": op.protocol(2) + _dict(tensors) + op.STOP,
        "x/data/0": ARRAYS["conv.weight"].tobytes(),
    }
    return _zip(members)


def _legacy() -> bytes:
    tensors = {"w": _torch_tensor("0", (2, 3), (3, 1)), "t": _torch_tensor("0", (3, 2), (1, 3))}
    parameter = op.call(op.global_("torch._utils", "_rebuild_parameter"), tensors["w"])
    state = _dict({**tensors, "p": parameter})
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    pickles = [pickle.dumps(value, protocol=2) for value in head]
    pickles.append(op.protocol(2) + _dict({"state_dict": state}) + op.STOP)
    pickles.append(pickle.dumps(["0"], protocol=2))
    return b"".join(pickles) + struct.pack("<q", 6) + ARRAYS["conv.weight"].tobytes()


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as written:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980, unlike writestr's own
            info.compress_type = method
            written.writestr(info, data)
    return stream.getvalue()


def _pth() -> dict[str, bytes]:
    views = {"w": _torch_tensor("0", (2, 3), (3, 1)), "e": _torch_tensor("0", (2, 2), (0, 1))}
    members = {
        "x/data.pkl": op.protocol(2) + _dict(views) + op.STOP,
        "x/byteorder": b"little",
        "x/data/0": ARRAYS["conv.weight"].tobytes(),
    }
    return {"ours": _bytes(pth_writer.write, ARRAYS), "legacy": _legacy(), "views": _zip(members),
            "signs": _signs()}  # fmt: skip


# -- the others


def _npz() -> dict[str, bytes]:
    members = {f"{key}.npy": npz._head(array) + array.tobytes() for key, array in ARRAYS.items()}
    return {
        "ours": _bytes(npz.write, ARRAYS),
        "compressed": _zip(members, zipfile.ZIP_DEFLATED),
    }


def _safetensors(keys: tuple[str, ...] = tuple(ARRAYS)) -> bytes:
    tensors = {key: ARRAYS[key] for key in keys}
    return _bytes(safetensors.write, tensors, {"format": "pt"})


def _empty() -> bytes:
    """Tensors of size zero between others, and a header that another writer padded."""
    offsets = {"a": ("F32", [1], 0, 4), "z": ("I8", [0, 3], 4, 4), "b": ("F16", [2], 4, 8)}
    header = json.dumps(
        {k: {"dtype": d, "shape": s, "data_offsets": [a, b]} for k, (d, s, a, b) in offsets.items()}
    ).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + bytes(8)


def _joined(*parts: bytes) -> bytes:
    """As ``harness.several_files`` takes them apart."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts[:-1]) + parts[-1]


def _sharded() -> bytes:
    shards = {"a.safetensors": ("conv.weight",), "b.safetensors": ("n", "half")}
    weight_map = {key: shard for shard, keys in shards.items() for key in keys}
    index = json.dumps({"metadata": {"total_size": 40}, "weight_map": weight_map}).encode()
    return _joined(*map(_safetensors, shards.values()), index)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return encode_varint(number << 3) + encode_varint(value)
    return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value


SHAPES = {name: ARRAYS[key].shape for key, name in NAMES.items()}


def program_desc(shapes: Mapping[str, tuple[int, ...]], weight: str = "conv_0.w_0") -> bytes:
    """A ProgramDesc with float32 variables, and a product with one of them."""
    variables = []
    for name, shape in shapes.items():
        tensor = _field(1, _field(1, 5) + b"".join(_field(2, size) for size in shape))
        kind = _field(1, 7) + _field(3, tensor)
        variables.append(_field(3, _field(1, name.encode()) + _field(2, kind) + _field(3, 1)))
    inputs = ((b"X", b"x"), (b"Y", weight.encode()))
    slots = [_field(1, slot) + _field(2, name) for slot, name in inputs]
    turned = _field(4, _field(1, b"trans_y") + _field(2, 6) + _field(10, 0))
    product = b"".join(_field(1, slot) for slot in slots) + _field(3, b"matmul_v2") + turned
    return _field(1, _field(1, 0) + _field(2, 0) + b"".join(variables) + _field(4, product))


def pir_program(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A PIR program with parameters, and a product with the first, twice."""
    parameters = [
        {"#": "p", "A": [0, 0, 0, name], "O": {"%": n, "TT": {"D": [0, list(shape)]}}}
        for n, (name, shape) in enumerate(shapes.items(), start=1)
    ]
    turned = {"N": "transpose_y", "AT": {"#": "0.a_bool", "D": False}}
    product = {"#": "1.matmul", "I": [{"%": 9}, {"%": 1}], "A": [turned], "O": [{"%": 10}]}
    inner = {"#": "1.if", "I": [{"%": 2}], "regions": [{"blocks": [{"ops": [product]}]}]}
    region = {"blocks": [{"ops": [*parameters, product, inner]}]}
    return json.dumps(
        {"base_code": {"magic": "pir", "version": 1}, "program": {"regions": [region]}}
    ).encode()


def _combined() -> dict[str, bytes]:
    weights = _bytes(pdiparams.write, ARRAYS, NAMES)
    table = {name: {"structured_name": key, "trainable": True} for key, name in NAMES.items()}
    info = pickle.dumps(table, protocol=2)
    return {
        "program": _joined(program_desc(SHAPES), info, weights),
        "pir": _joined(pir_program(SHAPES), b"", weights),
        "alone": _joined(b"", b"", _record("n")),
        "nameless": _joined(b"", b"", weights),
    }


def _record(key: str) -> bytes:
    return _bytes(paddle1.write_record, ARRAYS[key], key)


def _tar(members: dict[str, bytes], layout: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=layout, bufsize=512) as written:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("net/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        written.addfile(link)
    return stream.getvalue().rstrip(b"\0") + bytes(1024)  # tarfile fills up to 10 KB


def _tars() -> dict[str, bytes]:
    folder = {f"net/{name}": _record(key) for key, name in NAMES.items()}
    model = {
        "inference/__model__": program_desc(SHAPES),
        f"inference/{COMBINED_NAME}": _combined_weights(),
    }
    return {
        "folder": _tar(folder, tarfile.USTAR_FORMAT),
        "long-names": _tar({f"{'long/' * 30}w": _record("n")}, tarfile.GNU_FORMAT),
        "pax": _tar({f"{'ü' * 120}/w": _record("n")}, tarfile.PAX_FORMAT),
        "model": _tar(model, tarfile.USTAR_FORMAT),
    }


def _combined_weights() -> bytes:
    return _bytes(pdiparams.write, ARRAYS, NAMES)


# -- other frameworks


def _sharded_torch() -> bytes:
    shards = {"a.bin": _legacy(), "b.bin": _bytes(pth_writer.write, {"n": ARRAYS["n"]})}
    weight_map = {**dict.fromkeys("wtp", "a.bin"), "n": "b.bin"}
    return _joined(*shards.values(), json.dumps({"weight_map": weight_map}).encode())


def _tensor_proto(name: bytes, shape: tuple[int, ...], kind: int, *fields: bytes) -> bytes:
    dims = b"".join(_field(1, size) for size in shape)
    return dims + _field(2, kind) + b"".join(fields) + _field(8, name)


def _onnx() -> bytes:
    w = ARRAYS["conv.weight"].tobytes()
    entries = {b"location": b"w.data", b"offset": b"4", b"length": b"8"}
    external = [_field(13, _field(1, key) + _field(2, value)) for key, value in entries.items()]
    halves = b"".join(encode_varint(value) for value in (0x3C00, 0x4000, 1))
    protos = (
        _tensor_proto(b"raw", (2, 3), 1, _field(9, w)),
        _tensor_proto(b"typed", (2, 3), 1, _field(4, w)),
        _tensor_proto(b"half", (3,), 10, _field(5, halves)),
        _tensor_proto(b"single", (2,), 7, _field(7, 5), _field(7, 300)),
        _tensor_proto(b"out", (2,), 1, *external, _field(14, 1)),
    )
    value = _field(1, b"value") + _field(5, _tensor_proto(b"", (2, 3), 1, _field(9, w)))
    nodes = (
        _field(2, b"c") + _field(4, b"Constant") + _field(5, value),
        _field(1, b"raw") + _field(2, b"same") + _field(4, b"Identity"),
        _field(1, b"x") + _field(4, b"Conv"),
    )
    graph = b"".join(_field(1, node) for node in nodes) + b"".join(_field(5, p) for p in protos)
    return _joined(bytes(range(16)), _field(1, 8) + _field(2, b"seed") + _field(7, graph))


def _hdf5(latest: bool = False) -> bytes:
    """As h5py writes it: other versions of HDF5 may give other bytes."""
    stream, w = io.BytesIO(), ARRAYS["conv.weight"]
    with h5py.File(stream, "w", libver="latest" if latest else "earliest") as file:
        layer = file.create_group("layers/dense/vars")
        layer.attrs["name"] = "fc"
        layer["0"] = w
        if not latest:  # whose indexes of chunks are not read
            layer.create_dataset("1", data=w, chunks=(1, 2), compression=1, shuffle=True)
        file["soft"] = h5py.SoftLink("/layers")
    return stream.getvalue()


def _keras() -> bytes:
    layer = {"class_name": "Dense", "config": {"name": "fc"}}
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
    return _zip(
        {"metadata.json": b"{}", "config.json": config.encode(), "model.weights.h5": _hdf5()}
    )


def _caffe() -> bytes:
    w = ARRAYS["conv.weight"].tobytes()
    shape = _field(7, _field(1, encode_varint(2) + encode_varint(3)))
    old = b"".join(_field(n, size) for n, size in ((1, 1), (2, 1), (3, 2), (4, 3)))
    new = _field(1, b"fc") + _field(2, b"InnerProduct") + _field(7, shape + _field(5, w))
    v1 = _field(4, b"ip") + _field(5, 14) + _field(6, old + _field(8, w + w))
    v0 = _field(1, _field(1, b"c") + _field(2, b"conv") + _field(50, old + _field(5, w)))
    return _field(1, b"net") + _field(2, v1) + _field(2, v0) + _field(100, new)


def _flax() -> bytes:
    w = ARRAYS["conv.weight"]

    def array(values: np.ndarray) -> msgpack.ExtType:
        return msgpack.ExtType(1, msgpack.packb((values.shape, "float32", values.tobytes())))

    chunks = {"0": array(w[0]), "1": array(w[1])}
    large = {"__msgpack_chunked_array__": True, "shape": {"0": 2, "1": 3}, "chunks": chunks}
    tree = {"params": {"w": array(w), "large": large}, "step": 70_000, "none": None, "x": 0.5}
    return msgpack.packb(tree)


def _pt2() -> dict[str, bytes]:
    meta = {
        "dtype": 7,
        "sizes": [{"as_int": 3}, {"as_int": 2}],
        "strides": [{"as_int": 1}, {"as_int": 3}],
        "storage_offset": {"as_int": 0},
        "layout": 7,
    }
    entry = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": meta}
    members = {
        "x/data/weights/weight_0": ARRAYS["conv.weight"].tobytes(),
        "x/data/weights/model_weights_config.json": json.dumps({"config": {"w": entry}}).encode(),
        "x/byteorder": b"little",
    }
    return {"new": _zip(members), "old": _zip({"serialized_state_dict.pt": _legacy()})}


def _npy() -> bytes:
    """An array of one Python object, a dict, behind the header of ``numpy.save``."""
    value = _dict({"w": _array(ARRAYS["conv.weight"]), "in": _dict({"n": _array(ARRAYS["n"])})})
    dtype = op.call(op.global_("numpy", "dtype"), op.text("O8"), op.FALSE, op.TRUE)
    new = op.call(
        op.global_("numpy.core.multiarray", "_reconstruct"),
        op.global_("numpy", "ndarray"),
        op.integers([0]),
        op.text("b"),
    )
    state = op.tuple_(op.integer(1), op.integers([]), dtype, op.FALSE, b"]" + value + b"a")
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head
    return start + op.protocol(4) + new + state + op.BUILD + op.STOP


def _detectron() -> bytes:
    w = _array(ARRAYS["conv.weight"])
    blobs = _dict({"conv1_w": w, "conv1_w_momentum": w})
    return op.protocol(4) + _dict({"blobs": blobs, "cfg": op.text("x")}) + op.STOP


def seeds() -> dict[str, dict[str, bytes]]:
    """Target to name to bytes."""
    return {
        "pdparams": _pdparams(),
        "pth": _pth(),
        "npz": _npz(),
        "safetensors": {"ours": _safetensors(), "empty": _empty()},
        "sharded": {"ours": _sharded()},
        "sharded-torch": {"ours": _sharded_torch()},
        "onnx": {"every-form": _onnx()},
        "hdf5": {"h5py": _hdf5(), "h5py-latest": _hdf5(latest=True)},
        "keras": {"h5py": _keras()},
        "caffemodel": {"every-layer": _caffe()},
        "flax": {"tree": _flax()},
        "npy": {"dict": _npy()},
        "pickle": {"detectron": _detectron()},
        "pt2": _pt2(),
        "combined": _combined(),
        "folder": {key.replace(".", "-"): _record(key) for key in ARRAYS},
        "tar": _tars(),
    }


def main(folder: Path) -> None:
    """Write every seed to ``folder/TARGET/NAME``."""
    for target, files in seeds().items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "corpus")
