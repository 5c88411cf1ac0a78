-- +goose Up
-- The address books that contacts are read from, and what each said of its
-- state when all of it had been read.
CREATE TABLE books (
    book TEXT COLLATE "C" PRIMARY KEY,
    mark TEXT NOT NULL
);

-- Their cards as they were taken last, by a hash of where each lies.
CREATE TABLE book_cards (
    book       TEXT COLLATE "C" NOT NULL,
    card       TEXT COLLATE "C" NOT NULL,
    etag       TEXT NOT NULL,
    contact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (book, card)
);
CREATE INDEX book_cards_contact ON book_cards (contact_id) WHERE contact_id <> '';
