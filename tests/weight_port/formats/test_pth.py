"""``.pth`` files, against torch.save, torch.load and bytes made by hand."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
import torchvision

import pytorch_impl
import weight_port
from weight_port.formats import pth_tensors, pth_writer
from weight_port.formats.files import open_checkpoint

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
]  # fmt: skip
ZIP = {"zip": True, "legacy": False}
SHAPES = [(), (1,), (0,), (3, 0, 2), (5,), (2, 3, 4, 5)]

every_format = pytest.mark.parametrize("zipped", ZIP.values(), ids=list(ZIP))


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def arrays_of(tensors) -> dict[str, np.ndarray]:
    return {key: to_numpy(tensor) for key, tensor in tensors.items()}


def save(obj, path: Path, zipped: bool) -> Path:
    torch.save(obj, path, _use_new_zipfile_serialization=zipped)
    assert path.read_bytes().startswith(b"PK") == zipped
    return path


def load_strictly(path: Path) -> dict[str, np.ndarray]:
    return arrays_of(torch.load(path, weights_only=True, mmap=True))


@pytest.fixture(scope="module")
def vision() -> torch.nn.Module:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=7)
    for key, buffer in model.named_buffers():
        if buffer.dtype == torch.float32:
            buffer.uniform_(0.5, 2)
        else:
            buffer.fill_(len(key))
    return model


# -- read what torch wrote


@every_format
def test_state_dict(tmp_path, same_bits, vision, zipped: bool) -> None:
    path = save(vision.state_dict(), tmp_path / "model.pth", zipped)
    tensors = weight_port.read(path)
    same_bits(tensors, arrays_of(vision.state_dict()))
    assert weight_port.detect(tensors).dialect == "torchvision"
    assert isinstance(vision.state_dict()._metadata, dict), "a state dict with attributes"


@every_format
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_shape(tmp_path, same_bits, dtype: torch.dtype, zipped: bool) -> None:
    tensors = {str(shape): (torch.rand(shape) * 100).to(dtype) for shape in SHAPES}
    read = weight_port.read(save(tensors, tmp_path / "x.pt", zipped))
    same_bits(read, arrays_of(tensors))
    assert {array.dtype.name for array in read.values()} == {str(dtype).removeprefix("torch.")}


@every_format
def test_shared_storages_views_and_strides(tmp_path, same_bits, zipped: bool) -> None:
    base = torch.arange(120.0).reshape(2, 3, 4, 5)
    tensors = {
        "base": base,
        "again": base,
        "view": base[1],
        "slice": base[:, 1:, ::2, 1:4:2],
        "transposed": base.permute(3, 1, 0, 2),
        "channels_last": base.to(memory_format=torch.channels_last),
        "expanded": torch.ones(1).expand(4, 4),
        "diagonal": torch.diagonal(base, dim1=1, dim2=2),
        "last element": base.reshape(-1)[-1:],
        "scalar inside": base[1, 2, 3, 4],
    }
    path = save(tensors, tmp_path / "views.pth", zipped)
    read = weight_port.read(path)
    same_bits(read, arrays_of(tensors))
    assert np.shares_memory(read["base"], read["view"])
    weight_port.write(tmp_path / "ours.pth", read)
    same_bits(load_strictly(tmp_path / "ours.pth"), arrays_of(tensors))


@every_format
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_nested_state_dict(tmp_path, same_bits, vision, key: str, zipped: bool) -> None:
    optimizer = torch.optim.SGD(vision.parameters(), lr=0.1, momentum=0.9)
    # The keys of torch's ImageNet example; its best accuracy is a tensor.
    checkpoint = {"epoch": 3, "arch": "resnet18", key: vision.state_dict(),
                  "best_acc1": torch.tensor(76.1), "optimizer": optimizer.state_dict()}  # fmt: skip
    read = weight_port.read(save(checkpoint, tmp_path / "checkpoint.pth.tar", zipped))
    same_bits(read, arrays_of(vision.state_dict()))
    twice = save({"state_dict": {key: vision.state_dict()}}, tmp_path / "twice.pth", zipped)
    same_bits(weight_port.read(twice), arrays_of(vision.state_dict()))


@every_format
def test_parameters_and_arrays(tmp_path, same_bits, zipped: bool) -> None:
    tensors = collections.OrderedDict(
        parameter=torch.nn.Parameter(torch.rand(3, 4)), frozen=torch.rand(2)
    )
    read = weight_port.read(save(tensors, tmp_path / "p.pth", zipped))
    same_bits(read, arrays_of(tensors))
    mixed = {"tensor": torch.rand(2), "array": np.arange(3.0)}
    read = weight_port.read(save(mixed, tmp_path / "a.pth", zipped))
    same_bits(read, {"tensor": mixed["tensor"].numpy(), "array": mixed["array"]})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@every_format
def test_every_pickle_protocol(tmp_path, same_bits, protocol: int, zipped: bool) -> None:
    tensors = {"w": torch.rand(3, 4), "b": torch.rand(3)}
    torch.save(
        tensors,
        tmp_path / "x.pth",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    same_bits(weight_port.read(tmp_path / "x.pth"), arrays_of(tensors))


@every_format
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(1)], "holds a list, not tensors by name"),
        ({"epoch": 3, "lr": 0.1}, "no tensors found; its keys: epoch, lr"),
        ({}, "no tensors found; its keys: nothing"),
    ],
)
def test_what_is_no_state_dict_is_an_error(tmp_path, content, said: str, zipped: bool) -> None:
    path = save(content, tmp_path / "x.pth", zipped)
    with pytest.raises(weight_port.FormatError, match=said) as raised:
        weight_port.read(path)
    assert str(raised.value).startswith(f"{path}: ")


@every_format
def test_what_is_no_tensor_is_left_out_and_said(tmp_path, zipped: bool) -> None:
    path = save({"w": torch.zeros(1), "epoch": 3}, tmp_path / "x.pth", zipped)
    contents = open_checkpoint(path).contents
    assert list(contents.tensors) == ["w"]
    assert contents.notes == ("left out 1 that are no tensors: 'epoch' (int)",)


class Whole(torch.nn.Module):
    """Modules in modules, in a list, a buffer that is saved and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 1)
        self.rest = torch.nn.ModuleList([torch.nn.BatchNorm2d(3), torch.nn.ReLU()])
        self.register_buffer("kept", torch.arange(3))
        self.register_parameter("none", None)

    def forward(self, images):
        return self.rest[1](self.rest[0](self.conv(images)))


@every_format
@pytest.mark.parametrize("nest", [lambda m: m, lambda m: {"model": m, "epoch": 3}])
def test_a_whole_module_is_read_and_not_built(
    tmp_path, same_bits, zipped: bool, nest, monkeypatch
) -> None:
    module = Whole()
    path = save(nest(module), tmp_path / "module.pth", zipped)
    monkeypatch.delattr(f"{__name__}.Whole")  # nothing looks for the class
    contents = open_checkpoint(path).contents
    same_bits(contents.tensors, arrays_of(module.state_dict()))
    assert any(f"a whole {__name__}.Whole was pickled" in note for note in contents.notes)


@pytest.mark.filterwarnings("ignore:.torch.jit")  # deprecated, and in many files
def test_a_torchscript_archive_is_its_state_dict(tmp_path, same_bits) -> None:
    module = Whole().eval()
    torch.jit.script(module).save(tmp_path / "script.pt")
    torch.jit.trace(module, torch.zeros(1, 2, 4, 4)).save(tmp_path / "traced.pt")
    for name in ("script.pt", "traced.pt"):
        same_bits(weight_port.read(tmp_path / name), arrays_of(module.state_dict()))


def test_tensors_with_a_state_of_their_own(tmp_path, same_bits) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter._is_hf_initialized = True
    tensor = torch.arange(3.0)
    tensor.note = "an attribute"
    wide = torch.arange(4).to(torch.uint16)
    state = {"parameter": parameter, "tensor": tensor, "wide": wide}
    torch.save(state, tmp_path / "x.pth")
    same_bits(weight_port.read(tmp_path / "x.pth"), arrays_of(state))


def test_a_kind_of_tensor_that_is_not_read_is_no_bystander(tmp_path) -> None:
    sparse = torch.eye(3).to_sparse()
    path = save({"w": torch.ones(1), "sparse": sparse}, tmp_path / "x.pth", True)
    with pytest.raises(weight_port.FormatError, match="_rebuild_sparse_tensor builds a sparse"):
        weight_port.read(path)


def test_an_archive_that_was_unpacked_or_packed_again_is_read(tmp_path, same_bits) -> None:
    state = {"w": torch.randn(40, 5), "none": torch.zeros(0), "n": torch.tensor(3)}
    path = save(state, tmp_path / "x.pth", True)
    same_bits(weight_port.read(rewritten(path, lambda n, d: [(n, d, 8)])), arrays_of(state))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    same_bits(weight_port.read(folder), arrays_of(state))
    (folder / "data" / "0").unlink()
    with pytest.raises(weight_port.FormatError, match="damaged pickle"):
        weight_port.read(folder)


# -- damaged in ways that torch.save never writes


def rewritten(path: Path, change) -> Path:
    """The zip again, member by member through ``change(name, data, compression)``."""
    with zipfile.ZipFile(path) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    out = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(out, "w") as new:
        for name, data in members:
            for entry in change(name, data):
                new.writestr(*entry)
    return out


CHANGES = [
    (lambda n, d: [] if n.endswith("data.pkl") else [(n, d)], r"without torch's data\.pkl"),
    (lambda n, d: [(n, d), (f"b/{n}", d)], r"without torch's data\.pkl"),
    (lambda n, d: [(n, b"big" if n.endswith("byteorder") else d)], "on a big-endian machine"),
    (lambda n, d: [] if n.endswith("data/0") else [(n, d)], "damaged pickle at byte"),
    (lambda n, d: [(n, d[:-1] if n.endswith("data/0") else d)], "12 float32 in 47 bytes"),
    (lambda n, d: [(n, d[:-4] if n.endswith("data/0") else d)], "12 float32 in 44 bytes"),
    (lambda n, d: [(n, d + b"more" if n.endswith("data/0") else d)], "12 float32 in 52 bytes"),
    (lambda n, d: [(n, d, zipfile.ZIP_BZIP2)], "is compressed by other than deflate"),
    (lambda n, d: [(n, bytes(10**8) if n.endswith("data/0") else d, 8)], "a zip bomb"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_changed_zip_is_an_error(tmp_path, change, said: str) -> None:
    path = save({"w": torch.ones(3, 4)}, tmp_path / "x.pth", True)
    assert weight_port.read(rewritten(path, lambda n, d: [(n, d)]))["w"].shape == (3, 4)
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(rewritten(path, change))


def torch_pickle(*, offset=0, shape=(2,), stride=(1,), count=4, key="0", window=None) -> bytes:
    """data.pkl of {"w": tensor} on a storage of 4 float32, written by pickle itself."""

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), offset, shape, stride, False, {})

    class Storage:
        pass

    class Pickler(pickle._Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                identity = ("storage", torch.FloatStorage, key, "cpu", count)
                return identity if window is None else (*identity, window)
            return None

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"w": Tensor()})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"shape": (5,)}, "element 4 of a storage of 4"),
        ({"offset": 3}, "element 4 of a storage of 4"),
        ({"offset": -1}, "negative offset"),
        ({"shape": (-2,)}, "negative offset"),
        ({"stride": (-1,)}, "negative offset"),
        ({"stride": (1, 1)}, "tensor without a storage"),
        ({"shape": (2.0,)}, "negative offset"),
        ({"shape": (2**62,), "stride": (0,)}, "damaged torch checkpoint|takes"),
        ({"shape": (2**20,), "stride": (0,)}, "'w' takes 4194304 bytes of a file of"),
        ({"shape": (1,), "stride": (2**80,)}, "damaged torch checkpoint"),
        ({"shape": (0, 2**80), "stride": (1, 1)}, "damaged torch checkpoint"),
        ({"shape": (1,) * 70, "stride": (1,) * 70}, "a shape of 70 dimensions"),
        ({"count": -4}, "storage of -4 elements"),
        ({"key": 7}, "persistent id is no storage"),
        ({"key": "../../x"}, "damaged pickle"),
        ({"window": ("0", 1, 2)}, "a part of another; save it again with a newer torch"),
    ],
)
def test_a_tensor_that_lies_about_itself_is_an_error(tmp_path, arguments, said: str) -> None:
    path = save({"w": torch.arange(4.0)}, tmp_path / "x.pth", True)
    changed = rewritten(
        path, lambda n, d: [(n, torch_pickle(**arguments) if n.endswith("data.pkl") else d)]
    )
    with pytest.raises(weight_port.FormatError, match=said):
        weight_port.read(changed)
    sound = rewritten(path, lambda n, d: [(n, torch_pickle() if n.endswith("data.pkl") else d)])
    np.testing.assert_array_equal(weight_port.read(sound)["w"], [0, 1])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (struct.pack("<q", 12), struct.pack("<q", 13)),
        (struct.pack("<q", 12), struct.pack("<q", -1)),
        (struct.pack("<q", 12), struct.pack("<q", 2**62)),
    ],
)
def test_a_legacy_storage_of_another_size_is_an_error(tmp_path, old: bytes, new: bytes) -> None:
    path = save({"w": torch.ones(3, 4)}, tmp_path / "x.pth", False)
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with pytest.raises(weight_port.FormatError, match="truncated or damaged storage"):
        weight_port.read(path)


# -- write what torch reads


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_torch_loads_what_we_write(tmp_path, same_bits, suffix: str) -> None:
    arrays = {
        f"{dtype} {shape}": to_numpy((torch.rand(shape) * 100).to(dtype))
        for dtype in DTYPES
        for shape in SHAPES
    }
    arrays["transposed"] = np.arange(12.0).reshape(3, 4).T
    path = tmp_path / f"ours{suffix}"
    weight_port.write(path, arrays)
    same_bits(load_strictly(path), arrays)
    same_bits(weight_port.read(path), arrays)


def test_storages_are_aligned_as_torch_aligns_them(tmp_path) -> None:
    arrays = {f"layer.{n}": np.zeros(n + 1, np.uint8) for n in range(70)}
    weight_port.write(tmp_path / "ours.pth", arrays)
    data = (tmp_path / "ours.pth").read_bytes()
    with zipfile.ZipFile(tmp_path / "ours.pth") as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            header = struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30])
            assert (info.header_offset + 30 + sum(header)) % 64 == 0


def test_equal_weights_give_equal_bytes(tmp_path, fake) -> None:
    for name in ("a.pth", "b.pth"):
        weight_port.write(tmp_path / name, fake("torchvision", "resnet18"))
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


def test_storages_too_large_for_the_first_zip_format(tmp_path, monkeypatch, same_bits) -> None:
    # 2 GiB is where zipfile changes over; a lower limit takes the same path with less data.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    arrays = {"large": np.arange(1000.0), "small": np.arange(3.0), "last": np.arange(500.0)}
    weight_port.write(tmp_path / "ours.pth", arrays)
    monkeypatch.undo()
    same_bits(load_strictly(tmp_path / "ours.pth"), arrays)
    same_bits(weight_port.read(tmp_path / "ours.pth"), arrays)
    data = (tmp_path / "ours.pth").read_bytes()
    assert data.find(arrays["large"].tobytes()) % 64 == 0


def test_load_state_dict_takes_all_of_what_we_write(tmp_path, same_bits, vision) -> None:
    weights = arrays_of(vision.state_dict())
    weight_port.write(tmp_path / "a.pdparams", weight_port.convert(weights, to="paddle.vision"))
    for to, model in (
        ("torchvision", torchvision.models.resnet18(num_classes=7)),
        ("pytorch_impl", pytorch_impl.resnet18(num_classes=7)),
    ):
        path = tmp_path / f"{to}.pth"
        weight_port.convert_file(tmp_path / "a.pdparams", path, to)
        model.load_state_dict(torch.load(path, weights_only=True, mmap=True), strict=True)
        loaded = arrays_of(model.state_dict())
        wanted = weight_port.convert(weights, to=to)
        wanted.update({key: np.zeros((), np.int64) for key in wanted if "tracked" in key})
        same_bits(loaded, wanted)


@pytest.mark.parametrize("dtype", ["uint32", ">f4", "float128"])
def test_a_dtype_without_a_storage_is_refused_and_nothing_written(tmp_path, dtype: str) -> None:
    with pytest.raises(weight_port.DestinationError, match="w: torch has no storage for dtype"):
        weight_port.write(tmp_path / "x.pth", {"v": np.zeros(1), "w": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())


def test_the_tables_of_reader_and_writer_cover_torchs_storages() -> None:
    assert set(pth_tensors.STORAGES) == {
        name for name in pth_tensors.STORAGES if hasattr(torch, name)
    }
    assert len(pth_writer._NAMES) == len(pth_tensors.STORAGES) == len(DTYPES)
