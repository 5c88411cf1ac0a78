package carddav

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

const (
	roundLimit   = 10 * time.Minute // of reading on end; what is left then is read next
	holdFor      = 5 * time.Minute  // a claim, renewed with each step; a dead node's ends by itself
	firstRetry   = time.Minute      // after a failure; then twice that, and so on
	leastRefresh = time.Minute
	maxTold      = 20 // refused cards of a round that the log names
	leaveLimit   = 5 * time.Second
)

// Options set up a Source.
type Options struct {
	Client    *Client
	DB        *store.DB
	Threading *threading.Service
	Refresh   time.Duration // between two rounds; default 1 h
	Now       func() time.Time
	Log       *slog.Logger
	// Observe is told of each round: what became of the cards that were new or
	// changed, and why it failed, if it did.
	Observe func(threading.Imported, error)
}

// Source keeps the desk's contacts up with a server's address books. Any number
// of nodes may have one: of all of them one reads at a time.
type Source struct {
	opt  Options
	name string
}

// NewSource makes a Source; it does nothing until Round.
func NewSource(opt Options) *Source {
	if opt.Refresh == 0 {
		opt.Refresh = time.Hour
	}
	opt.Refresh = max(opt.Refresh, leastRefresh)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Observe == nil {
		opt.Observe = func(threading.Imported, error) {}
	}
	return &Source{opt: opt, name: opt.Client.name()}
}

// round is one reading of all address books.
type round struct {
	*Source
	holder string
	into   *threading.Import
	done   threading.Imported
	told   int
}

// errLost ends a round whose claim somebody else took over.
var errLost = errors.New("another node reads the address books now")

// Round reads what is new or changed, if it is time to and no other node does. It
// takes some minutes at most; where that is too short it goes on in the next one.
// Each card that was taken stays taken, whatever ends the round. An error of the
// server is told to Log and Observe, tried again later, and none of Round's.
func (s *Source) Round(ctx context.Context) error {
	r := &round{Source: s, holder: store.NewID(), into: s.opt.Threading.NewImport(false)}
	var record store.CardSource
	mine := false
	now := s.opt.Now()
	err := s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		record, mine, err = tx.ClaimCardSource(ctx, s.name, r.holder, now, now.Add(holdFor))
		return err
	})
	if err != nil || !mine {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	err = r.books(limited)
	if errors.Is(err, errLost) {
		return nil
	}
	return r.leave(ctx, record, err, limited.Err() != nil)
}

// leave gives the claim back, and says when the next round is. ended tells that
// it was the time that ended this one, or the daemon.
func (r *round) leave(ctx context.Context, record store.CardSource, failed error, ended bool) error {
	due, failures := r.opt.Now().Add(r.opt.Refresh), 0
	level, text, more := slog.LevelInfo, "read the address books", []any(nil)
	switch {
	case failed == nil:
	case ctx.Err() != nil, ended && r.done.Total() > 0:
		text = "reading the address books goes on later"
		due, failures, failed = r.opt.Now(), record.Failures, nil
	default:
		failures = record.Failures + 1
		due = r.opt.Now().Add(min(r.opt.Refresh, firstRetry<<min(record.Failures, 10)))
		level, text, more = slog.LevelWarn, "reading the address books failed", []any{"err", failed, "again_at", due}
	}
	r.opt.Observe(r.done, failed)
	r.opt.Log.Log(ctx, level, text, append(r.counts(), more...)...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	return r.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.LeaveCardSource(ctx, r.holder, due, failures)
		return err
	})
}

func (r *round) counts() []any {
	return []any{"server", r.opt.Client.Origin(), "added", r.done.Added, "changed", r.done.Changed, "unchanged", r.done.Unchanged, "refused", len(r.done.Refused)}
}

// books reads all address books; one that fails is no reason to leave the others.
func (r *round) books(ctx context.Context) error {
	books, err := r.opt.Client.Books(ctx)
	if err != nil {
		return err
	}
	var failed error
	paths := make([]string, 0, len(books))
	for _, book := range books {
		paths = append(paths, book.Path)
		err := r.book(ctx, book)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", book.Path, err))
		}
	}
	err = r.step(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.ForgetBooks(ctx, paths) })
	return errors.Join(failed, err)
}

// step writes something while the claim holds, and renews it.
func (r *round) step(ctx context.Context, write func(context.Context, *store.Tx) error) error {
	held := false
	err := r.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		held, err = tx.HoldCardSource(ctx, r.holder, r.opt.Now().Add(holdFor))
		if err != nil || !held {
			return err
		}
		return write(ctx, tx)
	})
	if err == nil && !held {
		return errLost
	}
	return err
}

// book reads what is new or changed in an address book. Its mark is noted when
// all of that was taken.
func (r *round) book(ctx context.Context, book Book) error {
	var mark string
	var known map[string]store.BookCard
	err := r.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if mark, err = tx.BookMark(ctx, book.Path); err != nil || mark != "" && mark == book.Mark {
			return err
		}
		known, err = tx.BookCards(ctx, book.Path)
		return err
	})
	if err != nil || mark != "" && mark == book.Mark {
		return err
	}
	found, err := r.opt.Client.changes(ctx, book, mark)
	if err != nil {
		return err
	}
	if err := r.forget(ctx, book, known, found); err != nil {
		return err
	}
	wanted := found.list[:0]
	for _, l := range found.list {
		if was, ok := known[hashOf(l.path)]; !ok || l.etag == "" || was.ETag != l.etag {
			wanted = append(wanted, l)
		}
	}
	for len(wanted) > 0 {
		n := min(len(wanted), cardsAtOne)
		if err := r.take(ctx, book, known, wanted[:n]); err != nil {
			return err
		}
		wanted = wanted[n:]
	}
	return r.step(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetBookMark(ctx, book.Path, book.Mark) })
}

// hashOf gives what a card is remembered by.
func hashOf(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:])
}

// forget drops what is remembered of cards that are gone. Their contacts stay:
// tickets may name them, and who is off somebody's list may well write again.
func (r *round) forget(ctx context.Context, book Book, known map[string]store.BookCard, found changes) error {
	var gone []string
	for _, path := range found.gone {
		gone = append(gone, hashOf(path))
	}
	if found.all {
		there := make(map[string]bool, len(found.list))
		for _, l := range found.list {
			there[hashOf(l.path)] = true
		}
		for card := range known {
			if !there[card] {
				gone = append(gone, card)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return r.step(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteBookCards(ctx, book.Path, gone) })
}
