"""Where run records are kept: SQLite by default, PostgreSQL by URL. The only file that knows SQLAlchemy.

Rules:
    * The record itself is the truth: it is stored whole (JSON, compressed). `runs` and `metrics` are its
      index, for look-ups here and for anyone's SQL.
    * Adding a run twice changes nothing, so an interrupted `collect` can be repeated.
    * Several processes may write at once: SQLite runs in WAL mode and waits for a lock.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.toolchain.errors import MeasurementError, ProjectError
from edgepack.toolchain.results.schema import parse_run_record
from edgepack.toolchain.results.store_rows import measurements, metric_rows, run_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine, MetaData
    from sqlalchemy.engine import Connection

    from edgepack.toolchain.results.schema import RunRecord

SCHEMA_VERSION = "2"
_MIGRATIONS = {  # from a version: statements that both SQLite and PostgreSQL know
    "1": (
        "ALTER TABLE runs ADD COLUMN verdict TEXT",
        "ALTER TABLE metrics ADD COLUMN delegate TEXT",
        "ALTER TABLE metrics ADD COLUMN low DOUBLE PRECISION",
        "ALTER TABLE metrics ADD COLUMN high DOUBLE PRECISION",
    ),
}
_BUSY_TIMEOUT_S = 30
_MAX_RECORD_BYTES = 1 << 30


def default_location(project_folder: Path | None = None) -> str:
    """Return the URL of the store that is used when none is named.

    A project keeps its own in `.edgepack/results.sqlite`; without one it lies in the user's state folder.
    """
    from platformdirs import user_state_path

    folder = project_folder / ".edgepack" if project_folder else user_state_path("edgepack")
    return f"sqlite:///{folder / 'results.sqlite'}"


class ResultStore:
    """A store of run records. Use it as a context manager, or `close` it.

    Args:
        location: A path of an SQLite file, `sqlite:///PATH`, or `postgresql+psycopg://USER@HOST/DATABASE`.
        create: Whether to make an SQLite file that does not exist.

    Raises:
        ProjectError: The location cannot be used, or was written by another version of edgepack.
        MeasurementError: The file does not exist and must not be made.
    """

    def __init__(self, location: str | Path, *, create: bool = True) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        self._name = str(location)
        self._engine = _engine(self._name, create=create)
        self._name = self._engine.url.render_as_string(hide_password=True)
        self._tables = _tables()
        try:
            self._prepare()
        except (SQLAlchemyError, ValueError) as err:
            self._engine.dispose()
            raise self._broken(err) from err

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def add(self, record: RunRecord) -> bool:
        """Keep a record; return False where it is there already.

        Raises:
            MeasurementError: Another record has the same run id.
            ProjectError: The store cannot be written.
        """
        from sqlalchemy.exc import IntegrityError

        try:
            with self._begin() as connection:
                connection.execute(self._tables.tables["runs"].insert(), run_row(record))
                if rows := metric_rows(record):
                    connection.execute(self._tables.tables["metrics"].insert(), rows)
        except IntegrityError as err:
            known = self.get(record.run_id)
            if measurements(known) == measurements(record):
                return False
            message = f"{self._name} holds another run with the id '{record.run_id}'."
            raise MeasurementError(
                message, remedy="Repeat the benchmark; a run's id is never used twice."
            ) from err
        return True

    def get(self, run_id: str) -> RunRecord:
        """Return the record of a run.

        Raises:
            MeasurementError: There is no such run, or its record is damaged.
        """
        from sqlalchemy import select

        runs = self._tables.tables["runs"]
        with self._begin() as connection:
            row = connection.execute(select(runs.c.record).where(runs.c.run_id == run_id)).first()
        if row is None:
            message = f"{self._name} holds no run '{run_id}'."
            raise MeasurementError(message, remedy="List the runs with `edgepack report --last 20`.")
        return self._unpack(row[0], run_id)

    def find(
        self,
        *,
        name: str | None = None,
        device: str | None = None,
        target: str | None = None,
        precision: str | None = None,
        tag: str | None = None,
        last: int | None = None,
    ) -> list[RunRecord]:
        """Return the records that match, oldest first.

        Args:
            name: Name of the package.
            device: Name of the device.
            target: Name of the target.
            precision: Precision of the model.
            tag: The run's tag.
            last: Only this many, the newest ones.

        Raises:
            ProjectError: The store cannot be read.
        """
        from sqlalchemy import select

        runs = self._tables.tables["runs"]
        wanted = {"name": name, "device": device, "target": target, "precision": precision, "tag": tag}
        query = select(runs.c.record, runs.c.run_id).order_by(runs.c.time.desc(), runs.c.run_id.desc())
        for column, value in wanted.items():
            if value is not None:
                query = query.where(runs.c[column] == value)
        with self._begin() as connection:
            rows = connection.execute(query.limit(last)).all()
        return [self._unpack(record, run_id) for record, run_id in reversed(rows)]

    def _prepare(self) -> None:
        from sqlalchemy import insert, inspect, select

        meta = self._tables.tables["edgepack"]
        if not inspect(self._engine).has_table(meta.name):
            with self._engine.begin() as connection:
                self._lock(connection)
                fresh = not inspect(connection).has_table(meta.name)
                self._tables.create_all(connection)
                if fresh:
                    connection.execute(insert(meta).values(key="schema_version", value=SCHEMA_VERSION))
        wanted = select(meta.c.value).where(meta.c.key == "schema_version")
        with self._engine.begin() as connection:
            version = connection.execute(wanted).scalar()
        if version in _MIGRATIONS:
            version = self._migrate()
        if version != SCHEMA_VERSION:
            self._engine.dispose()
            message = (
                f"{self._name} has store version {version}; this edgepack uses version {SCHEMA_VERSION}."
            )
            raise ProjectError(message, remedy="Upgrade edgepack, or name another store with --store.")

    def _migrate(self) -> str | None:
        """Bring the tables of an earlier version up to date; the records themselves stay as they are."""
        from sqlalchemy import select, text, update

        meta = self._tables.tables["edgepack"]
        place = meta.c.key == "schema_version"
        with self._engine.begin() as connection:
            self._lock(connection)
            version: str | None = connection.execute(select(meta.c.value).where(place)).scalar()
            for statement in _MIGRATIONS.get(version or "", ()):  # none where another process was faster
                connection.execute(text(statement))
            connection.execute(update(meta).where(place).values(value=SCHEMA_VERSION))
        return SCHEMA_VERSION

    def _lock(self, connection: Connection) -> None:
        """Let one process at a time make the tables; the lock ends with the transaction."""
        from sqlalchemy import text

        if self._engine.dialect.name == "sqlite":
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))  # a write takes the lock
        else:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(7233)")
            )  # any number that is edgepack's own

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        from sqlalchemy.exc import IntegrityError, SQLAlchemyError

        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as err:
            raise self._broken(err) from err

    def _broken(self, err: Exception) -> ProjectError:
        reason = str(getattr(err, "orig", None) or err).strip().splitlines()[0]
        message = f"The result store {self._name} cannot be used: {reason}."
        return ProjectError(message, remedy="Check the path or URL of --store, and that you may write there.")

    def _unpack(self, data: bytes, run_id: str) -> RunRecord:
        source = f"run '{run_id}' in {self._name}"
        inflate = zlib.decompressobj()
        try:
            text = inflate.decompress(bytes(data), _MAX_RECORD_BYTES)
        except zlib.error as err:
            message = f"{source} is damaged: {err}."
            raise MeasurementError(
                message, remedy="Restore the store from a copy, or repeat the run."
            ) from err
        return parse_run_record(text, source=source)


def _engine(location: str, *, create: bool) -> Engine:
    from sqlalchemy import create_engine, event, make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    url_text = location if "://" in location else f"sqlite:///{location}"
    remedy = "Use a path of an SQLite file, or postgresql+psycopg://USER@HOST/DATABASE."
    try:
        url = make_url(url_text)
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            message = f"Results cannot be kept in '{url.get_backend_name()}'."
            raise ProjectError(message, remedy=remedy)
        if url.get_backend_name() == "sqlite":
            if url.database and not create and not Path(url.database).exists():
                message = f"There is no result store at {url.database}."
                raise MeasurementError(
                    message, remedy="Measure first: edgepack run. Or name the store with --store."
                )
            if url.database:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(url, connect_args={"connect_timeout": 10})
    except (ArgumentError, NoSuchModuleError, OSError, ValueError) as err:
        message = f"The result store cannot be opened: {err}."
        raise ProjectError(message, remedy=remedy) from err
    except ImportError as err:
        message = f"A PostgreSQL store needs a driver that is not installed: {err}."
        raise ProjectError(message, remedy='Run: pip install "edgepack[postgresql]"') from err


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # BEGIN comes from `_begin_sqlite`, not from the driver's guesses
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _tables() -> MetaData:
    from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

    tables = MetaData()
    Table(
        "edgepack", tables, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False)
    )
    Table(
        "runs",
        tables,
        Column("run_id", String(128), primary_key=True),
        Column("time", String(32), nullable=False, index=True),  # ISO 8601, UTC: sorts as text
        Column("name", String(64), nullable=False, index=True),
        Column("target", Text, nullable=False),
        Column("precision", Text, nullable=False),
        Column("device", Text, nullable=False),
        Column("tag", Text),
        Column("emulated", Integer, nullable=False),
        Column("package_id", String(64), nullable=False),
        Column("record", LargeBinary, nullable=False),  # the RunRecord's JSON, zlib
        Column("verdict", Text),  # "stable" or "unstable"; NULL where nobody judged
    )
    Table(
        "metrics",
        tables,
        Column("id", Integer, primary_key=True),
        Column(
            "run_id", String(128), ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False, index=True
        ),
        Column("name", Text, nullable=False),
        Column("aggregation", Text),
        Column("batch", Integer),
        Column("threads", Integer),
        Column("unit", Text, nullable=False),
        Column("value", Float(53)),  # NULL where it was not measured; then `reason` says why
        Column("reason", Text),
        Column("delegate", Text),
        Column("low", Float(53)),
        Column("high", Float(53)),
    )
    return tables
