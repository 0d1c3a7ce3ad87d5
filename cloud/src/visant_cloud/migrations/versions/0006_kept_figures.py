"""What changes all the time leaves `devices`; figures, strips and newest pictures are kept as they are written; each
index of the ledger names its query (store/tables.py), and "open" is `ended_at IS NULL`.

SQLite makes `devices` and `triggers` anew; foreign keys are off meanwhile (store/schema.py).
"""

# ruff: noqa: S608 - put together from the words of this file alone

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOVED = ("last_seen_at", "telemetry", "telemetry_at")
_OPEN = sa.text("ended_at IS NULL")
_LETTER = "CASE status WHEN 'executed' THEN 'e' WHEN 'failed' THEN 'f' ELSE 'x' END"
_STRIP = 30
_AT_ONCE = 1000


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    _make_tables()
    _ended_says_what_status_says()
    _fill_states(sqlite)
    _fill_days(sqlite)
    with op.batch_alter_table("devices") as devices:
        for name in _MOVED:
            devices.drop_column(name)
    _index_anew()
    if not sqlite:  # room beside a row for its next version: the update then touches no index
        op.execute("ALTER TABLE device_states SET (fillfactor = 50)")
        op.execute("ALTER TABLE device_days SET (fillfactor = 70)")
        op.execute("ALTER TABLE triggers SET (fillfactor = 50)")


def _make_tables() -> None:
    def organisation() -> Any:
        return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)

    def links(table: str) -> Iterable[Any]:
        for other, column in (("organisations", "organisation_id"), ("devices", "device_key")):
            yield sa.ForeignKeyConstraint([column], [f"{other}.{column}"], name=op.f(f"fk_{table}_{column}"))

    op.create_table(
        "device_states",
        organisation(),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("telemetry", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("telemetry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("degraded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("newest_seq", _BIG, nullable=True),
        sa.Column("newest_record_id", sa.String(length=32), nullable=True),
        sa.Column("newest_captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("strip", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("outcomes", sa.JSON(), server_default="{}", nullable=False),
        *links("device_states"),
        sa.PrimaryKeyConstraint("device_key", name=op.f("pk_device_states")),
    )
    counts = ("executed", "failed", "expired", "captures")
    op.create_table(
        "device_days",
        organisation(),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in counts),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        *links("device_days"),
        sa.PrimaryKeyConstraint("organisation_id", "day", "device_key", name=op.f("pk_device_days")),
    )


def _ended_says_what_status_says() -> None:
    is_open = "status IN ('pending', 'sent')"
    op.execute(f"UPDATE triggers SET ended_at = created_at WHERE ended_at IS NULL AND NOT {is_open}")
    op.execute(f"UPDATE triggers SET ended_at = NULL WHERE ended_at IS NOT NULL AND {is_open}")


def _fill_states(sqlite: bool) -> None:
    moved = ", ".join(_MOVED)
    op.execute(
        f"INSERT INTO device_states (organisation_id, device_key, {moved}) "
        f"SELECT organisation_id, device_key, {moved} FROM devices"
    )
    _run(
        "UPDATE device_states SET degraded = true WHERE device_key = :key",
        [{"key": key} for key in sorted(_degraded())],
    )
    last = "(SELECT max(seq) FROM captures WHERE captures.device_key = device_states.device_key)"
    op.execute(f"UPDATE device_states SET newest_seq = {last}")
    op.execute(
        "UPDATE device_states SET newest_record_id = captures.record_id, newest_captured_at = captures.captured_at "
        "FROM captures WHERE captures.seq = device_states.newest_seq"
    )
    ended = "FROM triggers WHERE kind = 'capture' AND ended_at IS NOT NULL"
    place = "row_number() OVER (PARTITION BY device_key ORDER BY seq DESC) AS place"
    strips: dict[str, list[Any]] = {}
    ranked = f"SELECT device_key, seq, {_LETTER} AS letter, reason, {place} {ended}"
    query = f"SELECT device_key, seq, letter, reason FROM ({ranked}) AS ranked WHERE place <= {_STRIP} ORDER BY seq"
    for key, seq, letter, reason in op.get_bind().execute(sa.text(query)):
        strips.setdefault(key, []).append([seq, letter] if reason is None else [seq, letter, reason])
    outcomes: dict[str, dict[str, int]] = {}
    query = f"SELECT device_key, status, reason, count(*) {ended} GROUP BY device_key, status, reason"
    for key, status, reason, count in op.get_bind().execute(sa.text(query)):
        outcomes.setdefault(key, {})[status if reason is None else f"{status}: {reason}"] = count
    kind = "TEXT" if sqlite else "JSON"
    _run(
        f"UPDATE device_states SET strip = CAST(:strip AS {kind}), outcomes = CAST(:outcomes AS {kind}) "
        "WHERE device_key = :key",
        [
            {"key": key, "strip": json.dumps(strips[key]), "outcomes": json.dumps(outcomes[key])}
            for key in sorted(strips)
        ],
    )


def _degraded() -> Iterable[str]:
    # read here: a database refuses to look into what earlier versions stored (half a surrogate pair)
    query = "SELECT device_key, CAST(telemetry AS TEXT) FROM devices WHERE telemetry IS NOT NULL"
    for key, told in op.get_bind().execute(sa.text(query)):
        try:
            found = json.loads(told)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.get("state") == "degraded":
            yield key


def _run(statement: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        op.get_bind().execute(sa.text(statement), rows[start : start + _AT_ONCE])


def _fill_days(sqlite: bool) -> None:
    def day(column: str) -> str:
        return f"date({column})" if sqlite else f"CAST({column} AT TIME ZONE 'UTC' AS DATE)"

    counts = ("executed", "failed", "expired", "captures", "bytes")
    ended = ", ".join(f"CASE WHEN status = '{name}' THEN 1 ELSE 0 END AS {name}" for name in counts[:3])
    each = (
        f"SELECT organisation_id, {day('created_at')} AS day, device_key, {ended}, 0 AS captures, 0 AS bytes "
        "FROM triggers WHERE kind = 'capture' AND ended_at IS NOT NULL "
        f"UNION ALL SELECT organisation_id, {day('received_at')}, device_key, 0, 0, 0, 1, bytes FROM captures"
    )
    sums = ", ".join(f"sum({name})" for name in counts)
    op.execute(
        f"INSERT INTO device_days (organisation_id, day, device_key, {', '.join(counts)}) "
        f"SELECT organisation_id, day, device_key, {sums} FROM ({each}) AS each_one "
        "GROUP BY organisation_id, day, device_key"
    )


def _index_anew() -> None:
    found = sa.inspect(op.get_bind())
    kept = {"ix_triggers_device_key_seq", "ix_triggers_organisation_id_seq"}
    indexes = {str(index["name"]) for index in found.get_indexes("triggers") if not index.get("duplicates_constraint")}
    for name in sorted(indexes - kept):
        op.drop_index(name, "triggers")
    unique = {str(one["name"]) for one in found.get_unique_constraints("triggers")}
    with op.batch_alter_table("triggers", table_kwargs={"sqlite_autoincrement": True}) as triggers:
        for name in sorted(unique - {"uq_triggers_device_key_trigger_id"}):
            triggers.drop_constraint(name, type_="unique")
        triggers.create_check_constraint(
            op.f("ck_triggers_ended"), "(ended_at IS NULL) = (status IN ('pending', 'sent'))"
        )
    for columns in (["device_key", "idempotency_key"], ["schedule_id", "device_key", "scheduled_for"]):
        where = sa.text("idempotency_key IS NOT NULL" if "idempotency_key" in columns else "schedule_id IS NOT NULL")
        name = f"uq_triggers_{'_'.join(columns)}"
        op.create_index(name, "triggers", columns, unique=True, sqlite_where=where, postgresql_where=where)
    for name, columns in (("ix_triggers_open", ["device_key", "seq"]), ("ix_triggers_expires_at", ["expires_at"])):
        op.create_index(name, "triggers", columns, sqlite_where=_OPEN, postgresql_where=_OPEN)
