"""The page: complete, well-formed, self-contained, and safe with hostile names."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from edgepack.toolchain.report.html import html_report
from tests.toolchain.records import make_record
from tests.toolchain.report.builds import make_build

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
    text = html_report([make_record(device=f"pi{n}") for n in range(20)])
    assert "2 more runs" in text
    assert "8 more devices" in text


@pytest.mark.slow
def test_it_fits_a_phone(text, tmp_path):
    """Real chromium at 390 px: the page itself never scrolls sideways."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    (tmp_path / "report.html").write_text(text.replace("default-src 'none'; style-src 'unsafe-inline'", ""))
    probe = (
        '<iframe id="f" src="report.html" style="width:390px;height:800px"></iframe><script>'
        "f.onload=()=>{const d=f.contentDocument.documentElement;"
        "document.body.innerHTML=`width ${d.scrollWidth} of ${d.clientWidth}`}</script>"
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
    found = re.search(r"width (\d+) of (\d+)", done.stdout)
    assert found, done.stdout[-500:]
    assert int(found[1]) <= int(found[2]) <= 390
