package store

import (
	"context"
	"encoding/json"
	"time"
)

// CardSource is how far this desk has come with the address books that it reads
// contacts from. There is one at a time, for all nodes.
type CardSource struct {
	URL       string    // which source; another one begins from nothing
	DueAt     time.Time // when it is to be read again
	Holder    string    // who reads it now
	HeldUntil time.Time // when somebody else may take it over
	Failures  int       // in a row
}

// metaCardSource is the key of the source's record.
const metaCardSource = "card_source"

func (tx *Tx) cardSource(ctx context.Context) (s CardSource, err error) {
	text, err := tx.Meta(ctx, metaCardSource)
	if err != nil || text == "" {
		return s, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return CardSource{}, nil //nolint:nilerr // unreadable is as good as not there: it is read anew
	}
	return s, nil
}

func (tx *Tx) putCardSource(ctx context.Context, s CardSource) error {
	return tx.SetMeta(ctx, metaCardSource, toJSON(s))
}

// ClaimCardSource lets holder read the source until some time, and gives its
// record; ok is false where it is not due yet, or somebody else reads it. What
// is remembered of another source is forgotten.
func (tx *Tx) ClaimCardSource(ctx context.Context, url, holder string, now, until time.Time) (s CardSource, ok bool, err error) {
	if err := tx.Serialise(ctx, metaCardSource); err != nil {
		return s, false, err
	}
	if s, err = tx.cardSource(ctx); err != nil || s.Holder != "" && s.HeldUntil.After(now) {
		return s, false, err
	}
	if s.URL != url {
		s = CardSource{URL: url}
		if err := tx.ForgetBooks(ctx, nil); err != nil {
			return s, false, err
		}
	}
	if s.DueAt.After(now) {
		return s, false, nil
	}
	s.Holder, s.HeldUntil = holder, until
	return s, true, tx.putCardSource(ctx, s)
}

// HoldCardSource lets a holder go on until some time; false where the source is
// not its any more.
func (tx *Tx) HoldCardSource(ctx context.Context, holder string, until time.Time) (bool, error) {
	return tx.changeCardSource(ctx, holder, func(s *CardSource) { s.HeldUntil = until })
}

// LeaveCardSource ends a claim, and says when the source is due next; false where
// it is not the holder's any more.
func (tx *Tx) LeaveCardSource(ctx context.Context, holder string, dueAt time.Time, failures int) (bool, error) {
	return tx.changeCardSource(ctx, holder, func(s *CardSource) {
		s.Holder, s.HeldUntil, s.DueAt, s.Failures = "", time.Time{}, dueAt, failures
	})
}

func (tx *Tx) changeCardSource(ctx context.Context, holder string, change func(*CardSource)) (bool, error) {
	if err := tx.Serialise(ctx, metaCardSource); err != nil {
		return false, err
	}
	s, err := tx.cardSource(ctx)
	if err != nil || s.Holder != holder {
		return false, err
	}
	change(&s)
	return true, tx.putCardSource(ctx, s)
}

// BookCard is a card of an address book as it was taken last.
type BookCard struct {
	Card      string // a hash of where it lies: names of files name people
	ETag      string // of its text
	ContactID string // whose it is; "": it was refused
}

// BookMark gives what an address book said of its state when all of it had been
// read; "" where it never was.
func (tx *Tx) BookMark(ctx context.Context, book string) (string, error) {
	marks, err := list(ctx, tx, func(r Rows, mark *string) error { return r.Scan(mark) },
		`SELECT mark FROM books WHERE book = $1`, book)
	if err != nil || len(marks) == 0 {
		return "", err
	}
	return marks[0], nil
}

// SetBookMark notes that all of an address book has been read, in a state.
func (tx *Tx) SetBookMark(ctx context.Context, book, mark string) error {
	_, err := tx.exec(ctx, `INSERT INTO books (book, mark) VALUES ($1, $2)
		ON CONFLICT (book) DO UPDATE SET mark = excluded.mark`, book, mark)
	return err
}

// BookCards gives the cards of an address book, by the hash of where they lie.
func (tx *Tx) BookCards(ctx context.Context, book string) (map[string]BookCard, error) {
	all := map[string]BookCard{}
	err := tx.query(ctx, func(r Rows) error {
		var c BookCard
		err := r.Scan(&c.Card, &c.ETag, &c.ContactID)
		all[c.Card] = c
		return err
	}, `SELECT card, etag, contact_id FROM book_cards WHERE book = $1`, book)
	return all, err
}

// PutBookCards adds or replaces cards of an address book.
func (tx *Tx) PutBookCards(ctx context.Context, book string, cards []BookCard) error {
	for _, c := range cards {
		err := tx.queue(ctx, `INSERT INTO book_cards (book, card, etag, contact_id) VALUES ($1, $2, $3, $4)
			ON CONFLICT (book, card) DO UPDATE SET etag = excluded.etag, contact_id = excluded.contact_id`,
			book, c.Card, c.ETag, c.ContactID)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteBookCards forgets cards of an address book; their contacts stay.
func (tx *Tx) DeleteBookCards(ctx context.Context, book string, cards []string) error {
	for _, card := range cards {
		if err := tx.queue(ctx, `DELETE FROM book_cards WHERE book = $1 AND card = $2`, book, card); err != nil {
			return err
		}
	}
	return nil
}

// ForgetBooks forgets all address books but some, with their cards; the contacts
// stay.
func (tx *Tx) ForgetBooks(ctx context.Context, but []string) error {
	known, err := list(ctx, tx, func(r Rows, book *string) error { return r.Scan(book) },
		`SELECT book FROM books UNION SELECT book FROM book_cards`)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, book := range but {
		keep[book] = true
	}
	for _, book := range known {
		if keep[book] {
			continue
		}
		for _, table := range []string{"books", "book_cards"} {
			if _, err := tx.exec(ctx, `DELETE FROM `+table+` WHERE book = $1`, book); err != nil {
				return err
			}
		}
	}
	return nil
}
