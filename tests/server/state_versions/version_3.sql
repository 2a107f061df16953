-- Schema of state.sqlite3, as version 3 of it was created. Never to be changed.
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
CREATE TABLE usage (
    key TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);
CREATE INDEX usage_by_key ON usage (key, at);

CREATE TABLE reservations (
    n INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);

PRAGMA user_version = 3;
