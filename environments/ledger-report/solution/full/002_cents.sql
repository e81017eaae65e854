CREATE TABLE accounts (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('asset', 'liability', 'equity', 'income', 'expense'))
);
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY,
    day TEXT NOT NULL,
    memo TEXT NOT NULL,
    batch TEXT UNIQUE
);
CREATE TABLE postings (
    id INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL REFERENCES transactions (id),
    account TEXT NOT NULL REFERENCES accounts (code),
    cents INTEGER NOT NULL
);
PRAGMA user_version = 2;
