"""Convert an ONNX file with onnx2tf: a script for the tool environment, which holds no edgepack.

Started by `onnx.py` as `python -I onnx_worker.py REQUEST ANSWER` (see `isolation.run_program`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOLERANCE = 1e-3  # of the largest expected value, as in agreement.py


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The model cannot be converted: a message and a remedy."""


def main(request_path: str, answer_path: str) -> None:
    """Read the request, convert, and write the answer."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    answer: dict[str, Any]
    try:
        convert(request["source"], Path(request["output"]), request["batch"])
        answer = {"answer": {}}
    except Refused as err:
        answer = {"error": "ConversionError", "message": err.args[0], "remedy": err.args[1]}
    except Exception as err:
        import traceback

        traceback.print_exc()
        answer = {"error": "", "message": f"{type(err).__name__}: {err}", "remedy": ""}
    Path(answer_path).write_text(json.dumps(answer), encoding="utf-8")


def convert(source: str, output: Path, batch: int) -> None:
    """Convert a file to float32, check it against onnxruntime, and write it to `output`."""
    model = load(source)
    shapes = {value.name: input_shape(source, value, batch) for value in user_inputs(model)}
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"{name}:{','.join(map(str, shape))}" for name, shape in shapes.items() if shape]
        command = [sys.executable, "-I", "-m", "onnx2tf", "-i", source, "-o", folder, "-n", "-v", "error"]
        done = subprocess.run(
            [*command, *(["-ois", *overrides] if overrides else [])], cwd=folder, check=False
        )
        found = sorted(Path(folder).glob("*_float32.tflite"))
        if done.returncode or not found:
            msg = f"onnx2tf cannot convert '{source}' (it ended with status {done.returncode})."
            raise Refused(
                msg,
                "Run with --traceback for its log; simplify or export the model again with another opset.",
            )
        compare(source, found[0], shapes)
        output.write_bytes(found[0].read_bytes())


def load(source: str) -> Any:  # noqa: ANN401 - untyped library
    """Return the checked model."""
    import onnx

    again = "Export or download the model again."
    try:
        model = onnx.load(source)
        onnx.checker.check_model(source)
    except Exception as err:
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
        msg = f"'{source}' is not a valid ONNX model: {reason}"
        raise Refused(msg, again) from err
    if not model.graph.node:
        msg = f"'{source}' is not a valid ONNX model: it holds no operators."
        raise Refused(msg, again)
    return model


def user_inputs(model: Any) -> list[Any]:  # noqa: ANN401
    """Return the inputs that are not weights, in order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def input_shape(source: str, value: Any, batch: int) -> list[int]:  # noqa: ANN401
    """Return the shape of an input with its batch filled in (as `fixed_shape`, out of reach here)."""
    dims = value.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    text = f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"
    for index, size in enumerate(sizes[1:], start=1):
        if size is None:
            name = dims[index].dim_param
            msg = (
                f"Input '{value.name}' of '{source}' has a free dimension {index}"
                f"{f' ({name})' if name else ''}: {text}."
            )
            raise Refused(
                msg,
                "Export the model with a fixed shape; only the batch may be free.",
            )
    if sizes and sizes[0] not in (None, batch):
        msg = f"Input '{value.name}' of '{source}' has the fixed batch {sizes[0]}, not {batch}: {text}."
        raise Refused(
            msg,
            f"Use `--batch {sizes[0]}`, or export the model with a free first dimension.",
        )
    return [batch, *(size or 0 for size in sizes[1:])] if sizes else []


def compare(source: str, converted: Path, shapes: dict[str, list[int]]) -> None:
    """Run both models on the same random input; 4-D (and 3-D) tensors may have their channels moved last."""
    import numpy as np
    import onnxruntime  # type: ignore[import-not-found]
    from ai_edge_litert.interpreter import Interpreter

    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    types = {value.name: value.type for value in session.get_inputs()}
    inputs = {
        name: rng.standard_normal(shape).astype(np.float32)
        if types[name] == "tensor(float)"
        else rng.integers(0, 2, shape).astype(np.int32 if "int32" in types[name] else np.int64)
        for name, shape in shapes.items()
    }
    interpreter = Interpreter(str(converted))
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        array = inputs.get(details["name"].removeprefix("serving_default_").removesuffix(":0"))
        if array is None and len(inputs) == 1:
            array = next(iter(inputs.values()))
        if array is None:
            msg = f"onnx2tf renamed input '{details['name']}' of '{source}'."
            raise Refused(msg, "Rename the inputs to plain words.")
        array = channels_last(array, tuple(details["shape"]))
        interpreter.set_tensor(details["index"], array.astype(details["dtype"]))
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    expected = session.run(None, inputs)
    if len(outputs) != len(expected):
        msg = f"onnx2tf wrote {len(outputs)} outputs for {len(expected)} in '{source}'."
        raise Refused(msg, WRONG)
    for name, want, details in zip((o.name for o in session.get_outputs()), expected, outputs, strict=True):
        got = interpreter.get_tensor(details["index"])
        right = channels_last(want, got.shape)
        limit = TOLERANCE * max(float(np.max(np.abs(right), initial=0.0)), 1e-3)
        if got.shape != right.shape or not np.allclose(got, right, rtol=0, atol=limit):
            msg = f"What onnx2tf made of '{source}' does not agree with it: output '{name}' differs."
            raise Refused(msg, WRONG)


WRONG = "Export the model in another form (SavedModel, .keras or .pt2); onnx2tf converts this one wrongly."


def channels_last(array: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """Return the array with its second dimension moved last where only that gives the shape."""
    moved = array.transpose(0, *range(2, array.ndim), 1) if array.ndim > 2 else array
    return moved if array.ndim > 2 and moved.shape == tuple(shape) else array


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
