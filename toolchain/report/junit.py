"""A comparison as JUnit XML, which every CI shows: one test a gate, or a metric where there is no gate.

Rules:
    * A gate that failed is a failure; one that could not be judged is an error. A metric without a gate never
      fails; without a figure it is skipped.
    * Names and messages come from files: characters that XML forbids are replaced, the rest is escaped.

Source: jenkinsci/xunit-plugin, junit-10.xsd (elements and attributes); W3C, "XML 1.0", 2.2 (characters).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from edgepack.toolchain.report.compare_view import change_rows, finding_text, heading, metric_label
from edgepack.toolchain.results.value_text import change_text, interval_text, value_text

if TYPE_CHECKING:
    from edgepack.toolchain.results.change import Comparison, Comparisons, MetricChange
    from edgepack.toolchain.results.gates import GateResult

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(result: Comparisons) -> str:
    """Return the document: one suite a pair of runs."""
    root = ElementTree.Element("testsuites", name="edgepack compare")
    for comparison in result.comparisons:
        _suite(root, comparison)
    if result.gates and result.only_base:
        suite = ElementTree.SubElement(root, "testsuite", name="runs that NEW does not have")
        for name in result.only_base:
            case = ElementTree.SubElement(suite, "testcase", classname="edgepack.compare", name=_clean(name))
            _end(case, "error", "NEW has no such run: its gates cannot be judged", name)
    _count(root)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ElementTree.Element, comparison: Comparison) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_clean(heading(comparison)))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("base", comparison.base.run_id), ("new", comparison.new.run_id)):
        ElementTree.SubElement(properties, "property", name=name, value=_clean(value))
    for warning in comparison.warnings:
        ElementTree.SubElement(properties, "property", name="careful", value=_clean(warning))
    if comparison.gates:
        for change, gate in comparison.gates:
            _gate(suite, change, gate)
    else:
        for row in change_rows(comparison):
            _metric(suite, row.change)


def _gate(suite: ElementTree.Element, change: MetricChange, gate: GateResult) -> None:
    name = f"{gate.gate.text}{_place(change)}"
    case = ElementTree.SubElement(suite, "testcase", classname="edgepack.compare", name=_clean(name))
    if gate.status != "passed":
        _end(case, "failure" if gate.status == "failed" else "error", gate.message, _details(change))
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(f"{gate.message}\n{_details(change)}")


def _metric(suite: ElementTree.Element, change: MetricChange) -> None:
    name = f"{metric_label(change)}{_place(change)}"
    case = ElementTree.SubElement(suite, "testcase", classname="edgepack.compare", name=_clean(name))
    if change.finding == "not comparable":
        ElementTree.SubElement(case, "skipped", message=_clean(change.reason or change.finding))
    ElementTree.SubElement(case, "system-out").text = _clean(_details(change))


def _end(case: ElementTree.Element, tag: str, message: str, details: str) -> None:
    end = ElementTree.SubElement(case, tag, message=_clean(message), type="edgepack.GateError")
    end.text = _clean(details)


def _details(change: MetricChange) -> str:
    lines = [f"{metric_label(change)}: {finding_text(change)}"]
    for side, value in (("base", change.base), ("new", change.new)):
        lines += [f"{side}: {value_text(value, change.unit)}"] if value is not None else []
    if change.change is not None:
        lines.append(f"change: {change_text(change.change, is_points=change.is_points)}")
    if change.low is not None and change.high is not None:
        interval = interval_text(change.low, change.high, is_points=change.is_points)
        lines.append(f"95 % interval: {interval}; {change.test}")
    return "\n".join([*lines, *([change.reason] if change.reason else [])])


def _place(change: MetricChange) -> str:
    place = change.configuration
    return f" (batch {place.batch}, threads {place.threads}, {place.delegate})" if place else ""


def _count(root: ElementTree.Element) -> None:
    """Write the numbers of tests, failures, errors and skipped ones where the schema wants them."""
    for element in (root, *root.iter("testsuite")):
        element.set("tests", str(len(list(element.iter("testcase")))))
        element.set("failures", str(len(list(element.iter("failure")))))
        element.set("errors", str(len(list(element.iter("error")))))
    for suite in root.iter("testsuite"):
        suite.set("skipped", str(len(list(suite.iter("skipped")))))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
