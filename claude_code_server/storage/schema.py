"""Database schema. Every change of the tables needs a new VERSION and a migration from the one before."""

from __future__ import annotations

VERSION = 5
_AUDIT = """
CREATE TABLE audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    key TEXT NOT NULL,
    task_id TEXT NOT NULL UNIQUE,
    request_id TEXT,
    model TEXT NOT NULL,
    grants TEXT NOT NULL,
    used TEXT NOT NULL,
    status TEXT NOT NULL,
    ended_at TEXT,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
ALTER TABLE usage ADD COLUMN kind TEXT NOT NULL DEFAULT '';
"""
_RESERVATIONS = """
CREATE TABLE reservations (
    n INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);
"""
_RESPONSES_BY_AGE = "CREATE INDEX responses_by_age ON idempotency (scope, created_at);"
_QUEUED_SPECS = """
CREATE TABLE queued_specs (
    task_id TEXT PRIMARY KEY,
    spec TEXT NOT NULL
);
"""
_PRUNED_TASKS = "CREATE TABLE pruned_tasks (task_id TEXT PRIMARY KEY) WITHOUT ROWID;"
_TASKS_BY_STATUS = "CREATE INDEX tasks_by_status ON tasks (key, status, n);"
_TASKS_BY_END = "CREATE INDEX tasks_by_end ON tasks (completed_at) WHERE completed_at IS NOT NULL;"
_USAGE_BY_AGE = "CREATE INDEX usage_by_age ON usage (at);"
_VERSION_5 = f"""
{_QUEUED_SPECS}
{_PRUNED_TASKS}
{_TASKS_BY_STATUS}
{_TASKS_BY_END}
{_USAGE_BY_AGE}
"""
_API_KEYS = """
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    preset TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT,
    revoked_at TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at IS NULL;
"""
SCHEMA = f"""
BEGIN;
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT NOT NULL,
    model TEXT NOT NULL,
    working_directory TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT,
    summary TEXT NOT NULL,
    result TEXT NOT NULL,
    artifacts TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL,
    failure TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    reserved REAL NOT NULL DEFAULT 0
);
CREATE INDEX tasks_by_key ON tasks (key, n);
CREATE INDEX tasks_unfinished ON tasks (n) WHERE completed_at IS NULL;
CREATE TABLE events (
    task_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) WITHOUT ROWID;
CREATE TABLE idempotency (
    key TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (key, scope, name)
) WITHOUT ROWID;
{_RESPONSES_BY_AGE}
CREATE TABLE usage (
    key TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);
CREATE INDEX usage_by_key ON usage (key, at);
{_RESERVATIONS}
{_VERSION_5}
{_AUDIT}
{_API_KEYS}
PRAGMA user_version = 5;
COMMIT;
"""
MIGRATIONS = {
    1: """
BEGIN;
ALTER TABLE tasks ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
PRAGMA user_version = 2;
COMMIT;
""",
    2: f"""
BEGIN;
ALTER TABLE tasks ADD COLUMN reserved REAL NOT NULL DEFAULT 0;
{_RESERVATIONS}
PRAGMA user_version = 3;
COMMIT;
""",
    3: f"""
BEGIN;
{_RESPONSES_BY_AGE}
PRAGMA user_version = 4;
COMMIT;
""",
    4: f"""
BEGIN;
{_VERSION_5}
{_AUDIT}
{_API_KEYS}
PRAGMA user_version = 5;
COMMIT;
""",
}
"""Script that updates a database to the next version, by its present version."""
