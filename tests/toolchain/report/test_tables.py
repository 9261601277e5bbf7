from __future__ import annotations

import io

from rich.console import Console

from edgepack.toolchain.report.tables import results_table
from edgepack.toolchain.report.view import headline_configuration
from tests.toolchain.records import make_record
from tests.toolchain.report.throttled import WHY, judged, make_full_record


def shown(*records, width=200) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(results_table(records))
    return console.file.getvalue()


def test_a_row_a_run_with_all_figures():
    unjudged = {"verdicts": [], "verdict": None}
    text = shown(*(make_record(precision).model_copy(update=unjudged) for precision in ("int8", "float32")))
    lines = [line for line in text.splitlines() if line.startswith(("int8 ", "float32 "))]
    assert lines[0].startswith("float32 ")
    figures = "48.8 KiB 90.00 % → 97.50 % 2 ms 3 ms 535 µs 554 µs 584 µs 2.15 k/s 41 MiB"
    assert " ".join(lines[1].split()) == f"int8 pi4 {figures}"
    assert "top1 host → device" in text
    assert "latency at batch 1, 4 threads" in text


def test_a_dash_has_its_reason_below():
    text = shown(make_record(memory={"unavailable": "no /proc on this device"}))
    assert "— [1]" in text
    assert "[1] no /proc on this device" in text
    assert " 0 B" not in text


def test_what_could_not_run_is_said():
    assert "batch 8, 1 thread: did not run: RESHAPE has a constant shape" in shown(make_record())


def test_emulated_is_marked():
    text = shown(make_record(emulated=True))
    assert "pi4 (emulated)" in text
    assert "nothing about real hardware" in text
    assert "emulated" not in shown(make_record())


def test_a_run_in_which_nothing_ran():
    text = shown(make_record(configurations=[{"batch": 1, "threads": 1, "unavailable": "op MISSING"}]))
    assert "[1] op MISSING" in text


def test_markup_of_rich_in_names_is_text():
    assert "[red]pi[/red]" in shown(make_record(device="[red]pi[/red]"))


def test_two_models_are_two_tables():
    other = make_record()
    other = other.model_copy(update={"package": other.package.model_copy(update={"name": "kws"})})
    text = shown(make_record(), other)
    assert "fashion for rpi" in text
    assert "kws for rpi" in text


def test_nothing():
    assert shown().strip() == ""


def test_a_median_carries_its_verdict_and_interval():
    record = make_record()
    place = headline_configuration(record)
    text = shown(judged(record, place))
    assert "535 µs !" in text
    assert "530 to 546 µs" in text
    assert f"! int8 · pi4: unstable because {WHY}" in text
    fine = shown(judged(record, place, why=None))
    assert "535 µs ✓" in fine
    assert "unstable because" not in fine
    assert "✓ stable, ! unstable" in fine


def test_quick_runs_are_marked():
    record = make_record()
    assert "quick: its windows are shorter" in shown(record)
    long = record.model_copy(update={"spec": record.spec.model_copy(update={"quick": False})})
    assert "quick" not in shown(long)


def test_energy_has_a_column_where_it_was_measured():
    text = shown(make_record())
    assert "energy: unavailable: no power sensor" in text
    measured = shown(make_full_record())
    assert "mJ" in measured
    assert "energy: unavailable" not in measured


def test_columns_give_way_in_a_narrow_terminal():
    record = make_record()
    narrow, wide = shown(record, width=80), shown(record)
    assert "not shown for want of room: load, first" in narrow
    assert "535 µs" in narrow
    assert "2.15 k/s" in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    assert "want of room" not in wide
