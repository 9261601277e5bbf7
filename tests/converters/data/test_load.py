"""Data sets from every kind of source, and what is refused."""

from __future__ import annotations

import sys
import wave
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepack.converters.data.dataset import InputSpec, Preprocessing
from edgepack.converters.data.load import LOADERS, load_dataset
from edgepack.converters.errors import DataError, MissingExtraError

X = InputSpec("serving_x:0", (1, 4, 4, 1), "float32")


def load(source, folder, *, role="evaluation", inputs=(X,), **options):
    return load_dataset(source, role=role, inputs=inputs, folder=folder, **options)


def samples(n=60, shape=(4, 4, 1)):
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


def write_wav(path, values, *, width=2, rate_hz=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = np.round(np.asarray(values) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    data = b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in scaled.reshape(-1))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(data)


def test_every_registered_loader_can_be_imported():
    import importlib

    assert list(LOADERS) == sorted(LOADERS)
    for target in LOADERS.values():
        module, _, name = target.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_npz_with_labels(tmp_path):
    x, y = samples(), np.arange(60) % 3
    np.savez(tmp_path / "eval.npz", x=x, y=y)
    data = load("eval.npz", tmp_path, classes=3)
    np.testing.assert_array_equal(data.inputs[0], x)
    np.testing.assert_array_equal(data.labels, y)
    assert len(data) == 60
    assert len(data.sha256) == 64
    assert data.warnings == ()
    assert data.sample(7)[0].shape == (1, 4, 4, 1)
    assert len(data.head(5)) == 5


def test_npz_missing_channel_is_added_and_one_hot_becomes_labels(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=samples(shape=(4, 4)), y_train=np.eye(3)[np.arange(60) % 3])
    data = load("d.npz", tmp_path, role="representative")
    assert data.inputs[0].shape == (60, 4, 4, 1)
    assert data.labels.dtype == np.int64
    assert data.labels[:4].tolist() == [0, 1, 2, 0]


def test_npz_with_two_inputs_by_name(tmp_path):
    specs = (InputSpec("ids", (1, 3), "int32"), InputSpec("mask", (1, 3), "float32"))
    np.savez(tmp_path / "d.npz", mask=np.ones((5, 3)), ids=np.arange(15).reshape(5, 3))
    data = load("d.npz", tmp_path, inputs=specs)
    assert [a.dtype.name for a in data.inputs] == ["int32", "float32"]
    assert data.inputs[0][1].tolist() == [3, 4, 5]
    with pytest.raises(DataError, match=r"no array for input 'idx'.*Did you mean 'ids'"):
        load("d.npz", tmp_path, inputs=(InputSpec("idx", (1, 3), "int32"), specs[1]))


def test_uint8_is_scaled_when_asked_and_warned_about_when_not(tmp_path):
    np.savez(tmp_path / "d.npz", x=(samples() * 255).astype(np.uint8))
    raw = load("d.npz", tmp_path)
    assert raw.inputs[0].max() > 1
    assert "not scaled" in raw.warnings[0]
    how = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.25,))
    scaled = load("d.npz", tmp_path, preprocessing=how)
    np.testing.assert_allclose(scaled.inputs[0], (raw.inputs[0] / 255 - 0.5) / 0.25, atol=1e-5)
    assert scaled.warnings == ()


def test_mean_a_channel_follows_the_layout(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 3, 4, 4)))
    spec = InputSpec("x", (1, 3, 4, 4), "float32")
    data = load("d.npz", tmp_path, inputs=(spec,), preprocessing=Preprocessing(mean=(1, 2, 3), layout="NCHW"))
    assert data.inputs[0][0, :, 0, 0].tolist() == [-1, -2, -3]
    with pytest.raises(DataError, match=r"mean has 3 values; the input has 4 channels"):
        load("d.npz", tmp_path, inputs=(spec,), preprocessing=Preprocessing(mean=(1, 2, 3)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    {
        "nan": (
            {"x": np.full((60, 16), [[np.nan if i == 17 else 1.0] for i in range(60)])},
            r"x\[17\] holds NaN",
        ),
        "infinite": ({"x": np.full((2, 16), np.inf)}, r"x\[0\] holds an infinite value"),
        "shape": ({"x": np.ones((3, 5, 4, 1))}, r"shape \[5, 4, 1\]; the model takes \[4, 4, 1\]"),
        "empty": ({"x": np.ones((0, 4, 4, 1))}, "no sample"),
        "counts": ({"x": np.ones((3, 4, 4)), "y": np.arange(4)}, "samples differ"),
        "text": ({"x": np.full((2, 4, 4), "a")}, "numbers are expected"),
        "label above": ({"x": np.ones((3, 4, 4)), "y": [0, 12, 1]}, r"y\[1\] is 12; .* 0 to 9"),
        "label below": ({"x": np.ones((3, 4, 4)), "y": [0, 1, -1]}, r"y\[2\] is -1"),
        "label nan": ({"x": np.ones((3, 4, 4)), "y": [0, 1, np.nan]}, r"y\[2\] is not finite"),
    }.values(),
    ids=["nan", "infinite", "shape", "empty", "counts", "text", "label above", "label below", "label nan"],
)
def test_bad_values_name_file_and_index(tmp_path, arrays, message):
    if "x" in arrays and arrays["x"].ndim == 2:
        arrays = {"x": arrays["x"].reshape(-1, 4, 4, 1)}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load("bad.npz", tmp_path, classes=10)
    assert caught.value.message.startswith("bad.npz: ")
    assert caught.value.remedy


def test_integer_inputs_refuse_fractions_and_overflow(tmp_path):
    spec = InputSpec("ids", (1, 2), "int32")
    np.save(tmp_path / "f.npy", np.array([[1.0, 2.5]]))
    with pytest.raises(DataError, match=r"ids\[0\] holds 2.5"):
        load("f.npy", tmp_path, inputs=(spec,))
    np.save(tmp_path / "g.npy", np.array([[1, 2**40]]))
    with pytest.raises(DataError, match=r"a int32 input cannot take"):
        load("g.npy", tmp_path, inputs=(spec,))


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "o.npz", x=np.array([{}, []], dtype=object))
    with pytest.raises(DataError, match=r"Python objects"):
        load("o.npz", tmp_path)
    np.save(tmp_path / "o.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"no readable .npy"):
        load("o.npy", tmp_path)


def test_bombs_are_refused_by_their_header(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 50, 4, 4, 1)}
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive, archive.open("x.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"the limit is"):
        load("b.npz", tmp_path)
    with (tmp_path / "b.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"no readable .npy"):
        load("b.npy", tmp_path)
    np.save(tmp_path / "large.npy", samples())
    with pytest.raises(DataError, match=r"would take"):
        load("large.npy", tmp_path, max_bytes=100)


@pytest.mark.parametrize("name", ["cut.npz", "cut.npy"])
def test_damaged_files(tmp_path, name):
    (np.savez if name.endswith("npz") else np.save)(tmp_path / name, samples())
    whole = (tmp_path / name).read_bytes()
    for size in (0, 3, 40, len(whole) // 2):
        (tmp_path / name).write_bytes(whole[:size])
        with pytest.raises(DataError, match=name):
            load(name, tmp_path)


def test_labels_file(tmp_path):
    np.save(tmp_path / "x.npy", samples(4))
    (tmp_path / "y.txt").write_text("0\n1\n1\n0\n")
    assert load("x.npy", tmp_path, labels_file="y.txt").labels.tolist() == [0, 1, 1, 0]
    np.save(tmp_path / "y.npy", np.array([2, 1, 1, 0]))
    assert load("x.npy", tmp_path, labels_file="y.npy").labels.tolist() == [2, 1, 1, 0]
    (tmp_path / "y.txt").write_text("0\nb\n")
    with pytest.raises(DataError, match=r"labels cannot be read"):
        load("x.npy", tmp_path, labels_file="y.txt")


@pytest.mark.parametrize("header", [True, False])
def test_csv(tmp_path, header):
    rows = [[*range(i, i + 4), i % 2] for i in range(3)]
    text = "a,b,c,d,label\n" if header else ""
    (tmp_path / "t.csv").write_text(text + "\n".join(",".join(map(str, row)) for row in rows))
    data = load("t.csv", tmp_path, inputs=(InputSpec("x", (1, 2, 2), "float32"),))
    assert data.inputs[0][2].tolist() == [[2, 3], [4, 5]]
    assert data.labels.tolist() == [0, 1, 0]


def test_csv_class_names_and_label_column(tmp_path):
    (tmp_path / "t.csv").write_text("label,a,b\ndog,1,2\ncat,3,4\n")
    spec = (InputSpec("x", (1, 2), "float32"),)
    data = load("t.csv", tmp_path, inputs=spec)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [1, 0]
    with pytest.raises(DataError, match=r"line 2: class 'dog' is not known. Did you mean 'dogs'"):
        load("t.csv", tmp_path, inputs=spec, class_names=("cat", "dogs"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3,oops\n", "line 2, column 2: 'oops' is no number"),
        ("1,2\n3\n", "line 2 has 1 columns"),
        ("1,2,3,4\n", "rows hold 4 values besides the label; the input takes 2"),
        ("", "empty"),
        ("a,b\n", "no row of values"),
        ("1,2\n3,nan\n", r"x\[1\] holds NaN"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load("t.csv", tmp_path, inputs=(InputSpec("x", (1, 2), "float32"),))


def test_image_folder_by_class(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, value in (("cat", 0), ("dog", 255)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(2):
            image.new("RGB", (8, 6), (value,) * 3).save(tmp_path / "set" / name / f"{i}.png")
    data = load("set", tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.inputs[0].shape == (4, 4, 4, 1)
    assert data.inputs[0][[0, 3], 0, 0, 0].tolist() == [0.0, 1.0]
    assert load("set", tmp_path, class_names=("dog", "cat")).labels.tolist() == [0, 0, 1, 1]
    assert load("set", tmp_path, class_names=("dog", "cat")).inputs[0][0].max() == 1.0
    with pytest.raises(DataError, match=r"folder 'dog' is no class.*Did you mean 'dogs'"):
        load("set", tmp_path, class_names=("dogs", "cat"))


def test_image_channels_first(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "set").mkdir()
    image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "set/a.png")
    spec = InputSpec("x", (1, 3, 4, 4), "float32")
    data = load("set", tmp_path, inputs=(spec,), preprocessing=Preprocessing(layout="NCHW"))
    assert data.inputs[0][0, :, 2, 2].tolist() == [1.0, 0.0, 0.0]
    assert data.labels is None


def test_bad_image_folders(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=r"neither images nor wav"):
        load("set", tmp_path)
    (tmp_path / "set/a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a.png cannot be read as an image"):
        load("set", tmp_path)
    image.new("L", (4, 4)).save(tmp_path / "outside.png")
    (tmp_path / "set/a.png").unlink()
    (tmp_path / "set/a.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"leads out of the folder"):
        load("set", tmp_path)
    (tmp_path / "set/a.png").unlink()
    (tmp_path / "set/c").mkdir()
    image.new("L", (4, 4)).save(tmp_path / "set/c/a.png")
    image.new("L", (4, 4)).save(tmp_path / "set/loose.png")
    with pytest.raises(DataError, match=r"both files .* and classes"):
        load("set", tmp_path)


def test_image_bomb(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "set").mkdir()
    image.new("L", (400, 400)).save(tmp_path / "set/a.png")
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"a.png"):
        load("set", tmp_path)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_widths_crop_and_pad(tmp_path, width):
    write_wav(tmp_path / "set/yes/long.wav", np.linspace(-1, 1, 12), width=width)
    write_wav(tmp_path / "set/no/short.wav", [0.5, -0.5], width=width)
    data = load("set", tmp_path, inputs=(InputSpec("x", (1, 8), "float32"),))
    assert data.class_names == ("no", "yes")
    step = 2.0 ** (1 - 8 * width)
    np.testing.assert_allclose(data.inputs[0][0], [0.5, -0.5, 0, 0, 0, 0, 0, 0], atol=2 * step)
    np.testing.assert_allclose(data.inputs[0][1], np.linspace(-1, 1, 12)[:8], atol=2 * step)


def test_wav_refusals(tmp_path):
    audio = (InputSpec("x", (1, 8), "float32"),)
    write_wav(tmp_path / "set/a.wav", [0.1] * 8)
    write_wav(tmp_path / "set/b.wav", [0.1] * 8, rate_hz=8000)
    with pytest.raises(DataError, match=r"b.wav is sampled at 8000 Hz, expected 16000 Hz"):
        load("set", tmp_path, inputs=audio)
    with pytest.raises(DataError, match=r"no raw audio"):
        load("set", tmp_path, inputs=(InputSpec("x", (1, 49, 10), "float32"),))
    (tmp_path / "set/b.wav").write_bytes((tmp_path / "set/b.wav").read_bytes()[:20])
    with pytest.raises(DataError, match=r"b.wav is no readable PCM wav"):
        load("set", tmp_path, inputs=audio)


def test_stereo_is_averaged(tmp_path):
    write_wav(tmp_path / "set/a.wav", [[0.5, -0.5], [0.5, 0.5]], channels=2)
    data = load("set", tmp_path, inputs=(InputSpec("x", (1, 2), "float32"),))
    np.testing.assert_allclose(data.inputs[0][0], [0.0, 0.5], atol=1e-4)


@pytest.mark.parametrize(
    "body",
    [
        "return np.ones((3, 4, 4, 1)), [0, 1, 0]",
        "return {'serving_x:0': np.ones((3, 4, 4, 1)), 'y': [0, 1, 0]}",
    ],
)
def test_hook_with_labels(tmp_path, body):
    text = f"import numpy as np\ndef load(role):\n    assert role\n    {body}\n"
    (tmp_path / "features.py").write_text(text)
    data = load("features:load", tmp_path)
    assert data.labels.tolist() == [0, 1, 0]
    assert data.path == tmp_path


def test_hook_as_a_generator_of_samples(tmp_path):
    (tmp_path / "gen.py").write_text(
        "import numpy as np\ndef data():\n    for i in range(3):\n        yield [np.full((1, 4, 4, 1), i)]\n"
    )
    data = load("gen:data", tmp_path, role="representative")
    assert data.inputs[0][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert "only 3 representative samples" in data.warnings[0]
    (tmp_path / "gen.py").write_text("import numpy as np\ndef data():\n    return np.ones((2, 4, 4))\n")
    assert len(load("gen:data", tmp_path)) == 2  # the file, not a cached module, is what is run


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hooks:lod", "no function 'lod'. Did you mean 'load'"),
        ("nowhere:load", "importing 'nowhere' failed"),
        ("hooks:fail", "the function raised ZeroDivisionError"),
        ("missing.npz", "no such file or folder"),
        ("hooks.py", "'.py' files are not read"),
    ],
)
def test_bad_sources(tmp_path, source, message):
    (tmp_path / "hooks.py").write_text("def load():\n    return None\ndef fail():\n    1 / 0\n")
    with pytest.raises(DataError, match=message):
        load(source, tmp_path)


def test_balance_and_constant_warnings(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((60, 4, 4)), y=[0] * 58 + [1] * 2)
    warnings = " ".join(load("d.npz", tmp_path, class_names=("a", "b", "c")).warnings)
    assert "every value of x is 1" in warnings
    assert "no sample of 1 of 3 classes: 'c'" in warnings
    assert "'a' has 58 samples, 'b' has 2" in warnings


@given(hnp.arrays(np.float32, (5, 4), elements=st.floats(-100, 100, width=32)), st.floats(0.01, 10))
def test_scaling_is_what_it_says(tmp_path_factory, values, scale):
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "x.npy", values)
    how = Preprocessing(scale=scale, mean=(1.0,), std=(2.0,))
    data = load("x.npy", folder, inputs=(InputSpec("x", (1, 4), "float32"),), preprocessing=how)
    np.testing.assert_allclose(data.inputs[0], (values * scale - 1) / 2, rtol=1e-4, atol=1e-3)


def test_a_class_that_is_a_link_out_of_the_folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "elsewhere").mkdir()
    image.new("L", (4, 4)).save(tmp_path / "elsewhere/a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/cat").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"cat/a.png is a link that leads out"):
        load("set", tmp_path)


def test_pillow_missing(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError) as caught:
        load("set", tmp_path)
    assert 'pip install "edgepack[images]"' in caught.value.remedy
