package outbound

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/sqlite"
)

func TestNewRefuses(t *testing.T) {
	r := embeddedRig(t)
	for name, change := range map[string]func(*Options){
		"no store":      func(o *Options) { o.DB = nil },
		"no queue":      func(o *Options) { o.Queue = nil },
		"bad smarthost": func(o *Options) { o.Smarthost = "http://x" },
		"bad hostname":  func(o *Options) { o.Hostname = "two words" },
	} {
		opt := r.options()
		change(&opt)
		if _, err := New(opt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestStartStop: in any order, as often as one likes.
func TestStartStop(t *testing.T) {
	r := embeddedRig(t)
	s, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("Stop before Start: %v", err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
}

// deafQueue is one whose server takes the question and does not answer.
type deafQueue struct {
	Queue
	asked chan struct{}
	once  sync.Once
	end   chan struct{}
}

func (q *deafQueue) Take(context.Context, string, time.Duration) (store.Due, bool, error) {
	q.once.Do(func() { close(q.asked) })
	<-q.end
	return store.Due{}, false, errors.New("the end")
}

// TestStopInTime: who does not answer does not keep the process.
func TestStopInTime(t *testing.T) {
	r := embeddedRig(t)
	deaf := &deafQueue{Queue: r.queue, asked: make(chan struct{}), end: make(chan struct{})}
	opt := r.options()
	opt.Queue, opt.stopLimit = deaf, 50*time.Millisecond
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-deaf.asked
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	select {
	case err := <-stopped:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop: %v", err)
		}
	case <-time.After(patience):
		t.Error("Stop waits for the queue")
	}
	close(deaf.end)
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
}

// TestQ11DiedWhileSending: a process that died over a delivery leaves it
// unknown, and the next one sends it again, once.
func TestQ11DiedWhileSending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desk.db")
	db, err := sqlite.Open(t.Context(), path, storeOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	first := newRig(t, db, "embedded")
	dying, err := New(first.options())
	if err != nil {
		t.Fatal(err)
	}
	dying.opt.Lease = 50 * time.Millisecond
	rows := first.mails(1)
	if _, _, ok, err := dying.claim(t.Context(), rows[0].ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := db.Close(); err != nil { // as far as a process can die inside a test
		t.Fatal(err)
	}
	db, err = sqlite.Open(t.Context(), path, storeOptions(t))
	second := newRig(t, opened(t, db, err), "embedded")
	second.start()
	second.settled(store.Sent, rows...)
	second.once(rows...)
	attempts := second.attempts(rows[0].ID)
	if len(attempts) != 2 || attempts[0].Code != 0 || attempts[1].Code != 250 {
		t.Errorf("attempts: %+v", attempts)
	}
}

// TestStoreAway: the store fails while a mail is being sent; the outcome is
// written when it is back, and the mail not sent again.
func TestStoreAway(t *testing.T) {
	r := embeddedRig(t)
	var failed atomic.Bool
	s := r.start(func(o *Options) {
		o.Outcome = func(context.Context, *store.Tx, store.Delivery, store.Outcome) error {
			if failed.CompareAndSwap(false, true) {
				return store.Errorf(store.CodeUnavailable, "away")
			}
			return nil
		}
	})
	rows := r.mails(1)
	s.Queued(t.Context(), dues(rows))
	r.settled(store.Sent, rows...)
	r.once(rows...)
}

func TestBackoff(t *testing.T) {
	s := &Service{opt: Options{RetryBase: time.Minute, RetryMax: 4 * time.Hour}}
	for attempts, want := range map[int]time.Duration{
		0: time.Minute, 1: 2 * time.Minute, 5: 32 * time.Minute, 8: 4 * time.Hour, 1000: 4 * time.Hour,
	} {
		if got := s.backoff(attempts); got < want*4/5 || got > want*6/5 {
			t.Errorf("after %d attempts: %v, want about %v", attempts, got, want)
		}
	}
}

func TestMadeAt(t *testing.T) {
	if age := time.Since(madeAt(store.NewID())); age < -time.Second || age > time.Minute {
		t.Errorf("a fresh id is %v old", age)
	}
	if !madeAt("no id").IsZero() {
		t.Error("no id has a time")
	}
}
