"""The page: complete, well-formed, self-contained, and safe with hostile names."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from edgepack.toolchain.report.html import html_report
from edgepack.toolchain.report.view import headline_configuration
from edgepack.toolchain.results.compare import compare
from edgepack.toolchain.results.gates import parse_gate
from tests.toolchain.records import make_configuration, make_record
from tests.toolchain.report.builds import make_build
from tests.toolchain.report.throttled import (
    PROFILE,
    REJECTED,
    WHY,
    judged,
    make_full_record,
    throttled_configuration,
)

_VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use"}
EVIL = "<script>alert(1)</script>\"'&$\\alpha$ {{ 7*7 }} \u202e \U0001f600"


class Page(HTMLParser):
    """Checks that elements nest, and collects what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[key] for key in ("href", "src", "xlink:href") if key in values]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def records():
    return [
        make_record(precision, device, emulated=device == "qemu")
        for precision in ("float32", "int8", "auto")
        for device in ("pi4", "qemu")
    ]


@pytest.fixture(scope="module")
def text(records):
    return html_report(records, [make_build("int8"), make_build("auto")])


def test_it_is_well_formed_and_says_what_was_measured(text):
    page = Page(text)
    shown = " ".join(page.texts)
    for expected in (
        "fashion for rpi",
        "Run by run",
        "Windows over time",
        "535 µs",
        "Latency distribution",
        "Size and quality by precision",
        "Throughput against batch and threads",
        "The path of auto",
        "int8 with 2 layers in int16x8",
        "too much",
        "FULLY_CONNECTED",
        "Cortex-A72",
        "48.2 °C (cpu-thermal) → 55.0 °C (cpu-thermal)",
        "All runs: batch 8, 1 thread: did not run",
        "On pi4, int8 is 2.2 times faster than float32",
    ):
        assert expected in shown, expected
    assert "On qemu" not in shown
    assert page.tags.count("svg") == 2 + 2 + 6 + 6  # distributions, size and quality, throughput, windows


def test_it_needs_no_network_and_no_script(text):
    page = Page(text)
    assert all(link.startswith("#") for link in page.links)
    assert "script" not in page.tags
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'" in text


def test_ids_are_unique_and_links_lead_somewhere(text):
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)


def test_every_plot_has_a_title_and_a_description(text):
    for svg in re.findall(r"<svg[^>]*>.{0,600}", text, re.DOTALL):
        assert 'role="img"' in svg
        assert re.search(r"<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]{20,}</desc>", svg)


def test_plots_take_their_colours_from_the_page(text):
    svgs = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--series-1)" in svgs
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", svgs) == []
    assert "font-family" not in svgs
    assert "<style" not in svgs


def test_the_same_runs_give_the_same_page(records, text):
    again = html_report(list(reversed(records)), [make_build("auto"), make_build("int8")])
    assert again == text


def test_hostile_names_are_text(records):
    builds = [make_build("auto", worst_tensors=make_build("int8").worst_tensors)]
    page_text = html_report(
        [make_record(device=EVIL, tag=EVIL, memory={"unavailable": EVIL})], builds, title=EVIL
    )
    page = Page(page_text)
    assert "script" not in page.tags
    assert "<script" not in page_text
    assert "{{ 7*7 }}" in page_text
    assert "49" not in re.findall(r"alert\(1\).{0,60}", page_text)[0].split("{{")[0]


def test_nothing_measured_still_gives_a_page():
    assert "Nothing was measured" in html_report([])
    page = Page(html_report([], [make_build("int8")]))
    assert "fashion for rpi" in " ".join(page.texts)
    assert page.tags.count("svg") == 2


def test_a_run_in_which_nothing_ran():
    only = [{"batch": 1, "threads": 1, "unavailable": "op MISSING"}]
    page = Page(html_report([make_record(configurations=only)]))
    assert "op MISSING" in " ".join(page.texts)


def test_one_sample_and_many_runs():
    one = make_record().configurations[0].model_dump() | {"samples_ns": [1000]}
    Page(html_report([make_record(configurations=[one])]))
    small = [make_configuration(1, 1, windows=1)]
    text = html_report([make_record(device=f"pi{n:02}", configurations=small) for n in range(13)])
    assert text.count("1 more run is") == 1
    assert "1 more device is" in text


@pytest.fixture(scope="module")
def full_text():
    """A page with all that a page can have: an unstable run, power, a profile, a failed gate."""
    record = make_full_record(stolen_from="ada@lab", steal_reason="idle for a day", minutes=5)
    doubtful = judged(record, headline_configuration(record))
    base = make_record(tag="baseline", configurations=[make_configuration(1, 4, scale=0.8)])
    compared = compare(base, record, [parse_gate("max", "latency_p90=+5%")])
    other = make_full_record("float32", "qemu", emulated=True)
    return html_report([doubtful, other], [make_build("int8")], [compared])


def test_a_page_says_what_can_be_believed(full_text):
    page = Page(full_text)
    shown = " ".join(" ".join(page.texts).split()).replace("\u00a0", " ")
    for expected in (
        "Against the baseline a gate failed",
        "FAILED max +5%",
        "unstable drifting; quick",
        f"unstable because {WHY}",
        f"1 window rejected: {REJECTED}",
        "Energy and power",
        "energy per inference",
        "over idle",
        "inferences per joule",
        "The most expensive operators",
        "SingleStream",
        "pinned to CPUs 2, 3",
        "taken from ada@lab: idle for a day",
        "covers the whole supply of the board",
        "soft temperature limit (bits 0x80008)",
        "float32 · qemu (emulated)",
        "windows over time",
        "power over time",
    ):
        assert expected in shown, expected


def test_a_full_page_is_sound(full_text):
    page = Page(full_text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    svgs = "".join(re.findall(r"<svg.*?</svg>", full_text, re.DOTALL))
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", svgs) == []


def test_a_run_of_twelve_configurations_stays_small():
    many = [make_configuration(batch, threads, watts=4.0) for batch in (1, 2, 4, 8) for threads in (1, 2, 4)]
    assert len(html_report([make_record(configurations=many)])) < 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", ["text", "full_text"])
def test_it_fits_the_screen(page, width, request, tmp_path):
    """Real chromium, all details open: the page itself never scrolls sideways, no text leaves its plot."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    html = request.getfixturevalue(page).replace("default-src 'none'; style-src 'unsafe-inline'", "")
    (tmp_path / "report.html").write_text(html.replace('<details class="run"', '<details open class="run"'))
    probe = (
        f'<iframe id="f" src="report.html" style="width:{width}px;height:800px"></iframe><script>'
        "f.onload=()=>{const d=f.contentDocument.documentElement;let cut=[];"
        "for(const t of f.contentDocument.querySelectorAll('svg text')){"
        "const a=t.getBoundingClientRect(),b=t.closest('figure').getBoundingClientRect();"
        "if(a.left<b.left||a.right>b.right)cut.push(t.textContent)}"
        "document.body.innerText="
        "`width ${d.scrollWidth} of ${d.clientWidth}; cut ${cut.join('|')};`}</script>"
    )
    (tmp_path / "probe.html").write_text(probe)
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--allow-file-access-from-files", "--virtual-time-budget=8000",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]  # fmt: skip
    done = subprocess.run(
        [chromium, *options, (tmp_path / "probe.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r"width (\d+) of (\d+); cut ([^;]*);", done.stdout)
    assert found, done.stdout[-500:]
    assert int(found[1]) <= int(found[2]) <= width
    assert found[3] == ""


def test_what_a_device_says_is_text():
    made = throttled_configuration(1, 4)
    for window in made["windows"]:
        window["rejected"] = window["rejected"] and EVIL
        for state in window["states"]:
            state["temperatures_c"][0]["name"] = EVIL
            state["governors"] = [EVIL]
    operators = [{**PROFILE["operators"][0], "name": EVIL}]
    record = make_full_record(
        configurations=[made],
        power_sensor={"name": EVIL, "driver": EVIL, "covers": EVIL},
        profile={**PROFILE, "operators": operators, "note": EVIL},
        control={"pinned": None, "governor": EVIL, "refused": EVIL},
        stolen_from=EVIL,
        steal_reason=EVIL,
    )
    text = html_report([judged(record, headline_configuration(record), why=EVIL)])
    page = Page(text)
    assert "script" not in page.tags
    assert "<script" not in text
    assert text.count("{{ 7*7 }}") >= 10
