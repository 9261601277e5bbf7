"""The store, on a real SQLite file and, where there is one, on a real PostgreSQL server."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from sqlalchemy import text

from edgepack.toolchain.errors import MeasurementError, ProjectError
from edgepack.toolchain.results.schema import parse_run_record
from edgepack.toolchain.results.store import ResultStore, default_location
from tests.toolchain.records import make_record

_BIN = [Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """The URL of a PostgreSQL server of our own, on a Unix socket."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pg_ctl = shutil.which("pg_ctl", path=":".join(map(str, _BIN)))
    if pg_ctl is None:
        pytest.skip("no PostgreSQL server is installed")
    folder = tmp_path_factory.mktemp("postgresql")
    as_user: list[str] = []
    if Path("/proc/self").owner() == "root":  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for parent in folder.parents[:3]:
            if parent != Path("/tmp"):
                parent.chmod(0o755)
    data, initdb = folder / "data", str(Path(pg_ctl).with_name("initdb"))
    if not Path(initdb).exists():
        initdb = str(Path(pg_ctl).resolve().with_name("initdb"))
    steps = [
        [initdb, "-D", str(data), "-U", "edgepack", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        [
            pg_ctl,
            "-D",
            str(data),
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            f"-k {folder} -c listen_addresses=''",
            "start",
        ],
    ]
    for step in steps:
        done = subprocess.run([*as_user, *step], capture_output=True, text=True, cwd=folder)
        if done.returncode:
            pytest.skip(f"PostgreSQL does not start here: {(done.stderr or done.stdout).strip()[-200:]}")
    yield f"postgresql+psycopg://edgepack@/postgres?host={folder}"
    subprocess.run(
        [*as_user, pg_ctl, "-D", str(data), "-m", "immediate", "stop"], capture_output=True, cwd=folder
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "sqlite":
        with ResultStore(tmp_path / "deep" / "results.sqlite") as opened:
            yield opened
        return
    url = request.getfixturevalue("postgresql")
    with ResultStore(url) as opened:
        yield opened
        with opened._engine.begin() as connection:
            opened._tables.drop_all(connection)


def test_what_was_added_is_found(store):
    record = make_record()
    assert store.add(record) is True
    assert store.get(record.run_id) == record
    assert store.find() == [record]


def test_adding_twice_changes_nothing(store):
    record = make_record()
    store.add(record)
    assert store.add(make_record(minutes=3, tag="later")) is False
    assert store.find() == [record]


def test_another_run_under_the_same_id_is_refused(store):
    store.add(make_record())
    other = make_record(configurations=[{"batch": 1, "threads": 1, "unavailable": "x"}])
    assert other.run_id == make_record().run_id
    with pytest.raises(MeasurementError, match="another run"):
        store.add(other)
    assert store.get(other.run_id) == make_record()


def test_find_filters_and_keeps_the_order_of_time(store):
    runs = [
        make_record("int8", "pi4", minutes=0, tag="base"),
        make_record("float32", "pi4", minutes=1),
        make_record("int8", "pi5", minutes=2, tag="base"),
    ]
    for record in (runs[2], runs[0], runs[1]):
        store.add(record)
    assert store.find() == runs
    assert store.find(device="pi4") == runs[:2]
    assert store.find(tag="base") == [runs[0], runs[2]]
    assert store.find(precision="float32") == [runs[1]]
    assert store.find(name="fashion", target="rpi", last=2) == runs[1:]
    assert store.find(name="'; DROP TABLE runs; --") == []
    assert len(store.find()) == 3


def test_unknown_run(store):
    with pytest.raises(MeasurementError, match="no run 'x'"):
        store.get("x")


def test_metrics_can_be_read_with_plain_sql(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultStore(path) as store:
        store.add(make_record())
    with sqlite3.connect(path) as connection:
        query = (
            "SELECT value, reason FROM metrics WHERE name=? AND batch=? AND threads=1 AND aggregation IS ?"
        )
        value, reason = connection.execute(query, ("latency", 1, "p50")).fetchone()
        assert value == make_record().value("latency", "p50")
        assert reason is None
        assert connection.execute(query, ("latency", 8, None)).fetchone() == (
            None,
            "RESHAPE has a constant shape",
        )
        assert connection.execute(
            "SELECT value FROM metrics WHERE name='energy_per_inference'"
        ).fetchone() == (None,)
    connection.close()


def test_intervals_delegates_and_verdicts_can_be_read_with_plain_sql(tmp_path):
    path, record = tmp_path / "r.sqlite", make_record()
    with ResultStore(path) as store:
        store.add(record)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT verdict FROM runs").fetchone() == ("stable",)
        query = "SELECT delegate, low, high FROM metrics WHERE name='latency' AND aggregation='p50'"
        p50 = record.find("latency", "p50")
        assert connection.execute(query).fetchone() == ("xnnpack", p50.low, p50.high)


def test_a_store_of_the_first_version_is_brought_up_to_date(store):
    """Its runs stay, with the records that the first version wrote."""
    old = (Path(__file__).parent / "records" / "run-record-v1.json").read_text()
    new = make_record(device="pi5")
    store.add(make_record())
    columns = {"runs": ["verdict"], "metrics": ["delegate", "low", "high"]}
    with store._engine.begin() as connection:
        for table, names in columns.items():
            for name in names:
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {name}"))
        connection.execute(text("UPDATE edgepack SET value = '1'"))
        connection.execute(text("UPDATE runs SET record = :record"), {"record": zlib.compress(old.encode())})
    with ResultStore(store._engine.url.render_as_string(hide_password=False)) as reopened:
        (read,) = reopened.find()
        assert read == parse_run_record(old, source="old")
        assert reopened.add(new) is True
        assert reopened.get(new.run_id) == new
    with ResultStore(store._engine.url.render_as_string(hide_password=False)) as again:
        assert len(again.find()) == 2


WRITER = """
import sys
sys.path[:0] = [{root!r}]
from edgepack.toolchain.results.schema import parse_run_record
from edgepack.toolchain.results.store import ResultStore
from tests.toolchain.records import make_record
for number in range(4):
    with ResultStore({path!r}) as store:
        store.add(make_record(device=f"pi{{sys.argv[1]}}-{{number}}"))
"""


def test_several_processes_write_at_once(tmp_path):
    """They also race for making the tables."""
    path = tmp_path / "shared.sqlite"
    script = WRITER.format(root=str(Path(__file__).parents[3]), path=str(path))
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(n)], stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    failures = [err for writer in writers if (err := writer.communicate()[1]) or writer.returncode]
    assert failures == []
    with ResultStore(path) as store:
        assert len(store.find()) == 12


def test_store_of_another_version(tmp_path):
    path = tmp_path / "r.sqlite"
    ResultStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE edgepack SET value='99'")
    connection.close()
    with pytest.raises(ProjectError, match="version 99"):
        ResultStore(path)


def test_damaged_record(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultStore(path) as store:
        store.add(make_record())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET record = x'00'")
    connection.close()
    with ResultStore(path) as store, pytest.raises(MeasurementError, match="damaged"):
        store.find()


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"hello world, this is no database at all" * 100)
    with pytest.raises(ProjectError, match=r"r\.sqlite.*not a database"):
        ResultStore(path)


@pytest.mark.parametrize("location", ["mysql://host/db", "postgresql+nodriver://host/db", "sqlite:///\0"])
def test_locations_that_cannot_be_used(location):
    with pytest.raises(ProjectError):
        ResultStore(location)


def test_a_server_that_is_not_there_keeps_the_password_secret(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(ProjectError) as caught:
        ResultStore(f"postgresql+psycopg://user:hunter2@/db?host={tmp_path}")
    assert "hunter2" not in caught.value.message


def test_default_location(tmp_path):
    assert default_location(tmp_path) == f"sqlite:///{tmp_path / '.edgepack/results.sqlite'}"
    assert default_location().endswith("edgepack/results.sqlite")


def test_a_store_that_is_only_read_is_not_made(tmp_path):
    path = tmp_path / "folder" / "none.sqlite"
    with pytest.raises(MeasurementError, match="no result store"):
        ResultStore(path, create=False)
    assert not path.parent.exists()
