"""Float models made here without TensorFlow, and data that they classify."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgepack.converters.artifacts import FloatModel, Provenance, sha256_of
from edgepack.converters.data.dataset import Dataset

MODELS = Path(__file__).resolve().parents[4] / "shared/models"
CLASSES, SIDE, FILTERS = 8, 12, 6


class Builder:
    """Writes one subgraph with the object API: no framework needed."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, data=None, dtype=schema.TensorType.FLOAT32):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), dtype, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, output, options=None):
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes) - 1, inputs, [output]
        if options is not None:
            op.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self.graph.operators.append(op)
        return output

    def save(self, path, inputs, outputs):
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def conv_options():
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 2, 2
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    return options


def images(count, seed):
    """Noisy copies of one prototype a class; the task is learnable and not trivial."""
    rng = np.random.default_rng(0)
    prototypes = rng.random((CLASSES, SIDE, SIDE, 1))
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    noise = rng.normal(0, 1.1, (count, SIDE, SIDE, 1))
    return np.clip(prototypes[labels] + noise, 0, 1).astype(np.float32), labels.astype(np.int64)


def dataset(count, seed, *, labelled=True):
    x, y = images(count, seed)
    return Dataset((x,), y if labelled else None, (), Path(f"images-{seed}"), f"{seed:064x}")


def float_model(path):
    return FloatModel(path.stem, path, sha256_of(path), Provenance("import", {"model": sha256_of(path)}))


def build_cnn(path, *, outlier=1.0, second=False):
    """Write conv -> relu -> dense -> softmax; the dense layer is fitted by least squares.

    Args:
        outlier: Factor on one channel after the convolution, taken back in the dense weights: large values
            leave the float model as it is and ruin the resolution of int8 activations.
        second: Whether a second, harmless dense layer follows.
    """
    rng = np.random.default_rng(1)
    kernel = rng.normal(0, 1, (FILTERS, 3, 3, 1)).astype(np.float32)
    bias = rng.normal(0, 0.5, FILTERS).astype(np.float32)
    gain = np.ones(FILTERS, np.float32)
    gain[0] = outlier
    features = (SIDE // 2) ** 2 * FILTERS

    def body(target, *, dense=None, dense_bias=None):
        b = Builder()
        x = b.tensor("image", (1, SIDE, SIDE, 1))
        w = b.tensor("conv/kernel", kernel.shape, kernel * gain[:, None, None, None])
        c = b.tensor("conv/bias", (FILTERS,), bias * gain)
        y = b.tensor("conv/relu", (1, SIDE // 2, SIDE // 2, FILTERS))
        b.operator("CONV_2D", [x, w, c], y, conv_options())
        shape = b.tensor("flat/shape", (2,), np.array([1, features], np.int32), schema.TensorType.INT32)
        flat = b.tensor("flat", (1, features))
        options = schema.ReshapeOptionsT()
        options.newShape = [1, features]
        b.operator("RESHAPE", [y, shape], flat, options)
        if dense is None:
            b.save(target, [x], [flat])
            return
        logits = b.tensor("dense/logits", (1, CLASSES))
        weights = b.tensor("dense/kernel", dense.shape, dense)
        biases = b.tensor("dense/bias", (CLASSES,), dense_bias)
        b.operator("FULLY_CONNECTED", [flat, weights, biases], logits, schema.FullyConnectedOptionsT())
        if second:
            again = b.tensor("second/logits", (1, CLASSES))
            eye = b.tensor("second/kernel", (CLASSES, CLASSES), np.eye(CLASSES, dtype=np.float32))
            zero = b.tensor("second/bias", (CLASSES,), np.zeros(CLASSES, np.float32))
            b.operator("FULLY_CONNECTED", [logits, eye, zero], again, schema.FullyConnectedOptionsT())
            logits = again
        out = b.tensor("probabilities", (1, CLASSES))
        softmax = schema.SoftmaxOptionsT()
        softmax.beta = 1.0
        b.operator("SOFTMAX", [logits], out, softmax)
        b.save(target, [x], [out])

    from edgepack.converters.quantize.execute import run_dataset
    from edgepack.converters.runtime import LiteRtModel

    body(path)
    data = dataset(1200, seed=10)
    flat = run_dataset(LiteRtModel.open(path), data)[0].astype(np.float64)
    design = np.hstack([flat / np.tile(gain, features // FILTERS), np.ones((len(flat), 1))])
    targets = 8.0 * (np.eye(CLASSES)[data.labels] - 1 / CLASSES)
    solution = np.linalg.solve(design.T @ design + 20 * np.eye(design.shape[1]), design.T @ targets)
    dense = (solution[:-1].T / np.tile(gain, features // FILTERS)).astype(np.float32)
    body(path, dense=dense, dense_bias=solution[-1].astype(np.float32))
    return float_model(path)


def shared_model(name):
    path = MODELS / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {MODELS}")
    return float_model(path)


@pytest.fixture(scope="session")
def cnn(tmp_path_factory):
    return build_cnn(tmp_path_factory.mktemp("cnn") / "cnn.tflite")


@pytest.fixture(scope="session")
def fragile_cnn(tmp_path_factory):
    """A model that int8 activations ruin in one place."""
    return build_cnn(tmp_path_factory.mktemp("fragile") / "fragile.tflite", outlier=3000.0, second=True)


@pytest.fixture(scope="session")
def representative():
    return dataset(100, seed=20)


@pytest.fixture(scope="session")
def evaluation():
    return dataset(400, seed=30)


@pytest.fixture(scope="session")
def unlabelled():
    return dataset(200, seed=40, labelled=False)


@pytest.fixture(scope="session")
def resnet():
    return shared_model("pretrainedResnet.tflite")


@pytest.fixture(scope="session")
def resnet_published():
    return shared_model("pretrainedResnet_quant.tflite")


@pytest.fixture(scope="session")
def autoencoder():
    return shared_model("ad01_fp32.tflite")


@pytest.fixture(scope="session")
def resnet_images():
    """Smooth random pictures, 0..255 as the model was trained on: CIFAR-10 itself is not at hand."""
    rng = np.random.default_rng(5)
    coarse = rng.random((480, 4, 4, 3))
    smooth = np.kron(coarse, np.ones((1, 8, 8, 1)))
    for axis in (1, 2):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 3
    x = (smooth * 255).astype(np.float32)
    return Dataset((x,), None, (), Path("pictures"), "5" * 64)


@pytest.fixture(scope="session")
def machine_sounds():
    """Log-mel-like vectors for the autoencoder: correlated values around its training range."""
    rng = np.random.default_rng(6)
    x = (rng.normal(-30, 6, (100, 1)) + np.cumsum(rng.normal(0, 0.6, (100, 640)), axis=1)).astype(np.float32)
    return Dataset((x,), None, (), Path("sounds"), "6" * 64)


@pytest.fixture(scope="session")
def model_builder():
    return Builder


@pytest.fixture(scope="session")
def shared_models():
    return MODELS
