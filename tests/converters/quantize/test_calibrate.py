"""Ranges of activations, against ranges read tensor by tensor, and their cache."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgepack.converters.errors import ConversionError, DataError
from edgepack.converters.quantize.calibrate import calibrate, calibration_key
from edgepack.converters.quantize.execute import batches
from edgepack.converters.runtime import LiteRtModel
from edgepack.converters.tflite.reader import read_graph


@pytest.mark.parametrize("which", ["cnn", "resnet"])
def test_ranges_are_the_true_minimum_and_maximum(which, request, representative, resnet_images):
    model = request.getfixturevalue(which)
    data = representative if which == "cnn" else resnet_images.head(20)
    found = calibrate(model, data).ranges
    graph = read_graph(model.path)
    runner = LiteRtModel.open(model.path, preserve_all_tensors=True)
    activations = [t for t in graph.tensors if t.name in found and not t.is_constant]
    assert len(activations) >= len(graph.operators)
    values = {tensor.name: [] for tensor in activations}
    for batch in batches(runner, data):
        runner.run(batch)
        for tensor in activations:
            array = runner.tensor(tensor.index)
            values[tensor.name] += [array.min(), array.max()]
    for tensor in activations:
        if tensor.index in graph.main.outputs:
            continue  # the quantizer fixes the range of a softmax itself
        low, high = min(values[tensor.name]), max(values[tensor.name])
        span = max(high - low, 1e-6)
        assert abs(found[tensor.name][0] - low) < 1e-4 * span, tensor.name
        assert abs(found[tensor.name][1] - high) < 1e-4 * span, tensor.name


def test_the_order_of_the_samples_does_not_matter(cnn, representative):
    turned = replace(representative, inputs=(representative.inputs[0][::-1].copy(),))
    assert calibrate(cnn, representative).ranges == calibrate(cnn, turned).ranges


def test_cache(cnn, representative, tmp_path):
    first = calibrate(cnn, representative, cache=tmp_path)
    (file,) = tmp_path.glob("calibration-*.json")
    value = json.loads(file.read_text())
    name = next(iter(value["ranges"]))
    value["ranges"][name] = [-1234.0, 1234.0]
    file.write_text(json.dumps(value))
    assert calibrate(cnn, representative, cache=tmp_path).ranges[name] == (-1234.0, 1234.0)  # it was read
    file.write_text("{broken")
    assert calibrate(cnn, representative, cache=tmp_path) == first
    other = representative.head(50)
    assert calibration_key(cnn, other) != calibration_key(cnn, representative)
    assert calibrate(cnn, other, cache=tmp_path).samples == 50
    assert len(list(tmp_path.glob("calibration-*.json"))) == 2


def test_an_old_file_without_a_signature_is_calibrated(autoencoder, machine_sounds):
    assert read_graph(autoencoder.path).signatures == ()
    assert len(calibrate(autoencoder, machine_sounds.head(5)).ranges) >= 10


def test_refusals(cnn, representative):
    with pytest.raises(DataError, match="the model takes"):
        calibrate(cnn, replace(representative, inputs=(np.ones((3, 5, 5, 1), np.float32),)))
    huge = replace(representative, inputs=(np.full((2, 12, 12, 1), 3e38, np.float32),))
    with pytest.raises(ConversionError, match=r"tensor '.*' reaches"):
        calibrate(cnn, huge)


def test_nothing_is_printed(cnn, representative, capfd):
    calibrate(cnn, representative)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
