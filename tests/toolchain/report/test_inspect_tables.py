from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgepack.converters.tflite.reader import read_graph
from edgepack.targets.registry import find_target
from edgepack.toolchain.analyze.cost import analyze
from edgepack.toolchain.analyze.energy_estimate import estimate_energy
from edgepack.toolchain.analyze.fit import fit
from edgepack.toolchain.report.inspect_tables import energy_card, fit_card, model_card, operator_table


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory):
    from tests.converters.quantize.conftest import build_cnn

    path: Path = tmp_path_factory.mktemp("model") / "cnn.tflite"
    build_cnn(path)
    return read_graph(path)


def shown(part) -> str:
    console = Console(file=io.StringIO(), width=240, force_terminal=False)
    console.print(part)
    return console.file.getvalue()


def test_a_row_an_operator(graph) -> None:
    lines = shown(operator_table(analyze(graph))).splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    convolution, _, dense, _ = lines[1:]
    # 6 x 6 outputs of 6 filters, each over 3 x 3 values; 216 features to 8 classes, and the biases.
    assert "1x6x6x6" in convolution and "1.94 k" in convolution and "52.9%" in convolution
    assert "1.73 k" in dense and "47.1%" in dense and "1.74 k" in dense


def test_totals(graph) -> None:
    text = shown(model_card(graph, analyze(graph), "float32"))
    for expected in ("image float32[1, 12, 12, 1]", "probabilities float32[1, 8]", "3.67 k", "float32"):
        assert expected in text, expected


def test_verdicts_say_what_they_leave_out(graph) -> None:
    cost = analyze(graph)
    unknown = shown(fit_card(fit(graph, cost, find_target("rpi4"))))  # boards of several sizes
    assert unknown.split()[:4] == ["runs", "on", "rpi4", "unknown"]
    assert "states no size for ram" in unknown
    text = shown(fit_card(fit(graph, cost, find_target("rpi-pico"))))
    assert text.split()[:4] == ["runs", "on", "rpi-pico", "yes"]
    assert "does not contain" in text
    assert "None" not in text


def test_every_figure_of_the_energy_is_called_an_estimate(graph) -> None:
    lines = shown(energy_card(estimate_energy(graph, analyze(graph)))).splitlines()
    figures = [line for line in lines if "nJ" in line or "µJ" in line]
    assert len(figures) == 3
    assert all("estimate" in line for line in figures)
    assert " to " in figures[0], "a range, not one number"
    assert "45 nm" in lines[3] and "does not contain" in lines[4]
