package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// errScripted and errLost are what the scripted driver fails with; errAgain
// stands for a lost race.
var (
	errScripted = errors.New("scripted")
	errLost     = errors.New("lost")
	errAgain    = errors.New("again")
)

// scripted is a driver without a database: each of its steps may be told to
// fail. Its sessions note the statements that were committed.
type scripted struct {
	mu        sync.Mutex
	begin     []error // of the next transactions; nil: it begins
	commit    []error
	exec      map[string][]error // of the next runs, by statement
	begun     int
	committed []string
}

func (d *scripted) next(list *[]error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(*list) == 0 {
		return nil
	}
	err := (*list)[0]
	*list = (*list)[1:]
	return err
}

func (d *scripted) Begin(context.Context, bool) (Session, error) {
	if err := d.next(&d.begin); err != nil {
		return nil, err
	}
	d.begun++
	return &script{d: d}, nil
}
func (d *scripted) Read(context.Context) (Session, error) { return &script{d: d}, nil }
func (d *scripted) Writers() int                          { return 1 }
func (d *scripted) Searcher() Searcher                    { return nil }

func (d *scripted) Dialect() Dialect {
	return Dialect{Index: "index", Document: func(s string) any { return s }}
}
func (d *scripted) Ping(context.Context) error  { return nil }
func (d *scripted) Scrub(context.Context) error { return nil }
func (d *scripted) Close() error                { return nil }
func (d *scripted) Classify(err error) Fault {
	return Fault{Code: CodeUnavailable, Again: errors.Is(err, errAgain), Lost: errors.Is(err, errLost)}
}

type script struct {
	d    *scripted
	done []string
	mark int
}

func (s *script) Exec(_ context.Context, sql string, _ ...any) (int64, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if errs := s.d.exec[sql]; len(errs) > 0 {
		s.d.exec[sql] = errs[1:]
		return 0, errs[0]
	}
	s.done = append(s.done, sql)
	return 1, nil
}
func (s *script) Queue(ctx context.Context, sql string, args ...any) error {
	_, err := s.Exec(ctx, sql, args...)
	return err
}
func (s *script) Query(context.Context, string, ...any) (Rows, error) { return nil, errScripted }
func (s *script) Flush(context.Context) error                         { return nil }
func (s *script) Savepoint(context.Context) error                     { s.mark = len(s.done); return nil }
func (s *script) Release(context.Context) error                       { return nil }
func (s *script) RollbackTo(context.Context) error                    { s.done = s.done[:s.mark]; return nil }
func (s *script) End()                                                {}
func (s *script) Commit() error {
	err := s.d.next(&s.d.commit)
	if err == nil {
		s.d.mu.Lock()
		s.d.committed = append(s.d.committed, s.done...)
		s.d.mu.Unlock()
	}
	return err
}

// TestCommitFaults commits a group of three while something fails.
func TestCommitFaults(t *testing.T) {
	for _, c := range []struct {
		name      string
		driver    *scripted
		committed string  // what was, in the end
		codes     [3]Code // each caller's outcome
	}{
		{"nothing", &scripted{}, "[0 1 2 index index index]", [3]Code{}},
		{"no transaction is to be had", &scripted{begin: []error{errScripted}}, "[]",
			[3]Code{CodeUnavailable, CodeUnavailable, CodeUnavailable}},
		{"the commit, for good", &scripted{commit: []error{errScripted, errScripted, errScripted, nil, nil}}, "[1 index 2 index]",
			[3]Code{CodeUnavailable, "", ""}},
		{"the commit, once", &scripted{commit: []error{errScripted}}, "[0 1 2 index index index]", [3]Code{}},
		{"the commit, twice", &scripted{commit: []error{errScripted, errScripted}}, "[0 index 1 index 2 index]", [3]Code{}},
		{"the commit, and nobody knows how", &scripted{commit: []error{errLost}}, "[]",
			[3]Code{CodeUnavailable, CodeUnavailable, CodeUnavailable}},
		{"one statement", &scripted{exec: map[string][]error{"1": {errScripted, errScripted}}}, "[0 2 index index]",
			[3]Code{"", CodeUnavailable, ""}},
		{"one lost race", &scripted{exec: map[string][]error{"1": {errAgain, errAgain}}}, "[0 2 index index 1 index]", [3]Code{}},
		{"the connection, with the second one", &scripted{exec: map[string][]error{"1": {errLost, errLost}}},
			"[0 index 1 index 2 index]", [3]Code{}},
		{"the connection, and it stays away", &scripted{exec: map[string][]error{"2": {errLost}}, begin: []error{nil, errScripted}},
			"[]", [3]Code{CodeUnavailable, CodeUnavailable, CodeUnavailable}},
		{"the index, once", &scripted{exec: map[string][]error{"index": {errScripted}}}, "[0 1 2 index index index]", [3]Code{}},
		{"the index, twice", &scripted{exec: map[string][]error{"index": {errScripted, errScripted}}}, "[0 index 1 index 2 index]", [3]Code{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				codes := group(t, c.driver)
				if got := fmt.Sprint(c.driver.committed); got != c.committed {
					t.Errorf("committed %s, want %s", got, c.committed)
				}
				if codes != c.codes {
					t.Errorf("outcomes %q, want %q", codes, c.codes)
				}
			})
		})
	}
}

// TestGroupOfOneThatWantsNothing has one of a group refuse before it wrote:
// the others are not run again for that.
func TestGroupOfOneThatWantsNothing(t *testing.T) {
	d := &scripted{}
	db, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	refusal := Errorf(CodeNotFound, "no such ticket")
	batch := make([]*job, 3)
	for i := range batch {
		batch[i] = &job{ctx: t.Context(), done: make(chan error, 1), fn: func(ctx context.Context, tx *Tx) error {
			if i == 1 {
				return refusal
			}
			_, err := tx.exec(ctx, fmt.Sprint(i))
			return err
		}}
	}
	db.commitAll(batch)
	for i, j := range batch {
		if err := <-j.done; (err == refusal) != (i == 1) || i != 1 && err != nil {
			t.Errorf("outcome of %d: %v", i, err)
		}
	}
	if got := fmt.Sprint(d.committed); got != "[0 2]" || d.begun != 1 {
		t.Errorf("committed %s in %d transactions", got, d.begun)
	}
}

// group lets three callers, in order, wait for one commit.
func group(t *testing.T, d *scripted) (codes [3]Code) {
	db, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	batch := make([]*job, len(codes))
	for i := range batch {
		batch[i] = &job{ctx: t.Context(), done: make(chan error, 1), fn: func(ctx context.Context, tx *Tx) error {
			if _, err := tx.exec(ctx, fmt.Sprint(i)); err != nil {
				return err
			}
			return tx.Index(ctx, SearchEntry{})
		}}
	}
	db.commitAll(batch)
	for i, j := range batch {
		codes[i] = CodeOf(<-j.done)
	}
	return codes
}

// TestUpdateWaits ends a caller's context while he waits, and while his work
// is under way.
func TestUpdateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := New(&scripted{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		taken, proceed := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			first <- db.Update(ctx, func(ctx context.Context, tx *Tx) error {
				close(taken)
				<-proceed
				_, err := tx.exec(ctx, "work")
				return errors.Join(err, ctx.Err())
			})
		}()
		<-taken
		waiting, give := context.WithTimeout(t.Context(), time.Second)
		defer give()
		err = db.Update(waiting, func(context.Context, *Tx) error {
			t.Error("ran for a caller who had gone")
			return nil
		})
		if CodeOf(err) != CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller who gave up: %v", err)
		}
		cancel()
		close(proceed)
		if err := <-first; err != nil {
			t.Errorf("work that was under way: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		err = db.Update(t.Context(), func(context.Context, *Tx) error { return nil })
		if CodeOf(err) != CodeUnavailable {
			t.Errorf("after Close: %v", err)
		}
	})
}
