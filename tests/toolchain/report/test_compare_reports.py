"""A comparison in the terminal, as Markdown, as JUnit XML and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from edgepack.toolchain.report.compare_json import comparison_document
from edgepack.toolchain.report.compare_markdown import MARKER, comparison_markdown
from edgepack.toolchain.report.compare_tables import comparison_table
from edgepack.toolchain.report.junit import junit_xml
from edgepack.toolchain.results.change import Comparisons
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.gates import Gate, judge, parse_gate
from tests.toolchain.records import make_configuration, make_record

PLACES = ((1, 1), (1, 4), (2, 4))
GATES = (
    parse_gate("max", "latency_p90=+5%"),
    parse_gate("max", "energy=+5%"),
    parse_gate("min", "accuracy=-0.5pp"),
)

# Jenkins' junit-10.xsd: the attributes that an element may have, those that it must, and its children.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors", "disabled"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id",
         "package", "file", "log", "url", "version"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name"}, set()),
    "testcase": (
        {"name", "time", "classname", "group", "assertions", "status", "class", "file", "line", "log", "url"},
        {"name"},
        {"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError",
         "system-out", "system-err", "properties"},
    ),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "skipped": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}  # fmt: skip


def result(scale: float, gates: tuple[Gate, ...] = (), **changes: tuple[str, ...]) -> Comparisons:
    base, new = (
        make_record(
            minutes=minutes, configurations=[make_configuration(*place, scale=by) for place in PLACES]
        )
        for minutes, by in ((0, 1.0), (5, scale))
    )
    return Comparisons((compare(base, new, gates),), gates=gates, **changes)


def shown(found: Comparisons, *, everything: bool = False, color: bool = False, width: int = 160) -> str:
    console = Console(
        width=width, force_terminal=color, color_system="standard" if color else None, record=True
    )
    with console.capture() as capture:
        console.print(comparison_table(found, everything=everything))
    return capture.get()


def checked(xml: str) -> ElementTree.Element:
    """Parse and hold every element against the schema."""
    root = ElementTree.fromstring(xml)
    for element in root.iter():
        allowed, required, children = SCHEMA[element.tag]
        assert required <= set(element.attrib) <= allowed, element.attrib
        assert {child.tag for child in element} <= children, element.tag
    return root


def test_the_table_says_what_changed_and_what_failed() -> None:
    text = shown(result(1.1, GATES))
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert re.search(
        r"554 µs +609 µs +\+10\.0 % +\+9\.\d to \+10\.\d % +worse +FAILED max \+5%",
        rows["latency p90"],
    )
    assert "NOT JUDGED max +5%" in rows["energy per inference"]
    assert "passed min -0.5pp" in rows["quality on the device (top1)"]
    assert "unchanged" in rows["model size"]
    assert "p50 at 2 other configurations: worse at 2 (--all shows them)" in text
    assert "Failed: of 3 gates, 1 failed and 1 could not be judged." in text
    assert "careful: BASE is a --quick run" in text


def test_nothing_is_said_of_gates_where_none_is_set() -> None:
    text = shown(result(1.0))
    assert "gate" not in text.split("\n\n")[0].splitlines()[5]
    assert "inside the noise" in text and "Mann-Whitney U over 5 and 5 windows (p = 1)" in text
    assert "No gate was set: nothing can fail." in text


def test_all_shows_every_configuration_and_percentile() -> None:
    text = shown(result(1.0), everything=True)
    assert "latency min (batch 2, 4 threads)" in text and "latency max" in text
    assert "other configurations" not in text


def test_colour_only_beyond_the_noise() -> None:
    assert "\x1b[31m" in shown(result(1.1), color=True)
    assert "\x1b[32m" in shown(result(0.9), color=True)
    calm = shown(result(1.0), color=True)
    assert "\x1b[31m" not in calm and "\x1b[32m" not in calm


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_loses_no_figure(width: int) -> None:
    text = "".join(shown(result(1.1, GATES), width=width).split())
    assert "FAILED" in text and "+10.0%" in text


def test_a_gate_that_noise_let_pass_is_undecided_and_says_so() -> None:
    found = result(1.1, GATES[:1])
    (comparison,) = found.comparisons
    wide = tuple(replace(change, low=-0.1, high=0.3, gates=()) for change in comparison.changes)
    wide = tuple(
        replace(each, gates=(judge(GATES[0], each),)) if each.key == "latency_p90" else each for each in wide
    )
    found = replace(found, comparisons=(replace(comparison, changes=wide),))
    text = shown(found)
    assert "undecided max +5%" in text and "inside the noise: measure more windows" in text
    assert "Passed: 3 gates kept, 3 of them undecided (see the notes)." in text
    assert checked(junit_xml(found)).get("failures") == "0"


def test_runs_without_a_partner_are_named() -> None:
    found = result(
        1.0, GATES[:1], only_base=("fashion int8 for rpi on pi5",), only_new=("x int8 for rpi on pi4",)
    )
    for text in (shown(found), comparison_markdown(found)):
        assert "nly in BASE, not compared: fashion int8 for rpi on pi5" in text
        assert "nly in NEW, not compared: x int8 for rpi on pi4" in text
        assert "1 could not be judged" in text
    root = checked(junit_xml(found))
    assert root.get("errors") == "1" and root.find(".//error[@message]") is not None


def test_markdown_begins_with_the_outcome() -> None:
    lines = comparison_markdown(result(1.1, GATES)).splitlines()
    assert lines[0] == MARKER
    assert lines[1] == "**Failed: of 3 gates, 1 failed and 1 could not be judged.**"
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert any(line.startswith("| latency p90 |") and "**FAILED max +5%**" in line for line in table)


def test_markdown_shows_hostile_names_as_they_are() -> None:
    found = result(1.0)
    comparison = replace(found.comparisons[0], warnings=("another runtime: <img src=x> | `a` [b](c)",))
    text = comparison_markdown(replace(found, comparisons=(comparison,)))
    assert r"\<img src=x\> \| \`a\` \[b\](c)" in text


def test_junit_has_one_test_a_gate() -> None:
    root = checked(junit_xml(result(1.1, GATES)))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    failed = root.find(".//testcase[failure]")
    assert failed is not None
    assert failed.get("name") == "--max latency_p90=+5% (batch 1, threads 4, xnnpack)"
    failure = failed.find("failure")
    assert failure is not None and "limit +5%" in (failure.get("message") or "")
    assert "Mann-Whitney U" in (failure.text or "")


def test_junit_without_gates_has_one_test_a_metric_and_fails_none() -> None:
    root = checked(junit_xml(result(1.1)))
    assert root.get("failures") == root.get("errors") == "0"
    assert "latency p50 (batch 1, threads 4, xnnpack)" in {case.get("name") for case in root.iter("testcase")}


def test_junit_survives_hostile_text() -> None:
    found = result(1.1, GATES)
    comparison = replace(found.comparisons[0], warnings=('a\x00\x1b[2J]]> <b a="1"> & \ufffe \ud800 ü',))
    root = checked(junit_xml(replace(found, comparisons=(comparison,))))
    (warning,) = (p.get("value") for p in root.iter("property") if p.get("name") == "careful")
    assert warning == 'a\ufffd\ufffd[2J]]> <b a="1"> & \ufffd \ufffd ü'


def test_json_holds_every_change_and_gate() -> None:
    document = json.loads(json.dumps(comparison_document(result(1.1, GATES)), allow_nan=False))
    assert document["passed"] is False
    (comparison,) = document["comparisons"]
    (p90,) = (
        change for change in comparison["changes"]
        if change["metric"] == "latency_p90" and change["configuration"] == comparison["headline"]
    )  # fmt: skip
    assert p90["finding"] == "worse" and p90["change"] == pytest.approx(0.1, abs=0.001)
    assert p90["gates"][0]["status"] == "failed" and p90["gates"][0]["gate"] == "--max latency_p90=+5%"
    assert len(comparison["changes"]) > 20
