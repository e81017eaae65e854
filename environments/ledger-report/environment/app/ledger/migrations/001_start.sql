CREATE TABLE accounts (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL
);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    day TEXT NOT NULL,
    account TEXT NOT NULL,
    amount REAL NOT NULL,
    memo TEXT,
    batch TEXT
);
PRAGMA user_version = 1;
