package outbound

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// hang makes the store's writers wait until release is called.
func (r *rig) hang() (release func()) {
	r.t.Helper()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- r.db.Update(context.Background(), func(context.Context, *store.Tx) error {
			once.Do(func() { close(begun) })
			<-end
			return nil
		})
	}()
	<-begun
	release = sync.OnceFunc(func() {
		close(end)
		if err := <-ended; err != nil {
			r.t.Errorf("the transaction that hung: %v", err)
		}
	})
	r.t.Cleanup(release)
	return release
}

// TestLeaseBeginsAtTheLedger: a store that hangs for longer than a lease does
// not make two workers send at once.
func TestLeaseBeginsAtTheLedger(t *testing.T) {
	r := embeddedRig(t)
	r.sink.Script(testbed.Rule{At: testbed.AtDot, Stall: true, Times: 1})
	rows := r.mails(1)
	release := r.hang()
	lease := 300 * time.Millisecond
	r.start(func(o *Options) { o.Lease, o.Reconcile = lease, 10*time.Millisecond })
	_ = waitFor(t.Context(), nil, 2*lease)
	release()
	r.until("the message", func() bool { return len(r.sink.Complete()) > 0 })
	_ = waitFor(t.Context(), nil, 2*lease)
	if d := r.delivery(rows[0].ID); d.State != store.Sending || d.Fence != 1 || len(r.sink.Complete()) != 1 {
		t.Errorf("%d copies, %+v", len(r.sink.Complete()), d)
	}
	r.sink.Clear()
}

// TestGrantedTooLate: a claim whose lease is over by the time that it is known
// to be granted sends nothing.
func TestGrantedTooLate(t *testing.T) {
	r := embeddedRig(t)
	rows := r.mails(1)
	opt := r.options()
	calls := 0
	opt.Lease = time.Minute
	opt.Now = func() time.Time {
		calls++
		return rows[0].CreatedAt.Add(time.Duration(calls) * opt.Lease)
	}
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	again, ok := s.attempt(t.Context(), rows[0].Due())
	d := r.delivery(rows[0].ID)
	if !ok || again.DeliveryID != d.ID || d.State != store.Deferred || d.Reason != reasonSlow || d.Attempts != 0 {
		t.Errorf("%+v, entry %+v, %v", d, again, ok)
	}
	if n := r.sink.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// heldRoute is a next hop that keeps each message until told.
type heldRoute struct {
	transport
	dot    bool // the final dot goes out first
	begun  chan struct{}
	answer chan struct{}
	broken chan struct{} // closed when an attempt was broken off

	mu    sync.Mutex
	sends int // guarded by mu
}

func (h *heldRoute) probe(context.Context) result { return result{class: classSent} }

func (h *heldRoute) send(ctx context.Context, e envelope, _ []byte) result {
	h.mu.Lock()
	h.sends++
	n := h.sends
	h.mu.Unlock()
	if h.dot && !e.final.pass() {
		return result{class: classDeferred, err: errGateShut}
	}
	if n == 1 {
		close(h.begun)
		select {
		case <-ctx.Done():
			close(h.broken)
			return result{class: classDeferred, err: ctx.Err()}
		case <-h.answer:
		}
	}
	return result{class: classSent, reply: reply{code: 250}}
}

// heldService starts a service over a heldRoute.
func (r *rig) heldService(dot bool, change func(*Options)) (*Service, *heldRoute) {
	r.t.Helper()
	opt := r.options()
	change(&opt)
	s, err := New(opt)
	if err != nil {
		r.t.Fatal(err)
	}
	h := &heldRoute{transport: s.transport, dot: dot, begun: make(chan struct{}), answer: make(chan struct{}), broken: make(chan struct{})}
	s.transport = h
	if err := s.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			r.t.Errorf("Stop: %v", err)
		}
	})
	return s, h
}

// TestStoreAwayForALease: while the store does not answer nobody can renew a
// lease. Before its final dot a message is broken off; after it the answer is
// waited for, and counts when the store is back.
func TestStoreAwayForALease(t *testing.T) {
	lease := 200 * time.Millisecond
	short := func(o *Options) { o.Lease, o.Reconcile = lease, 10*time.Millisecond }
	t.Run("before the dot", func(t *testing.T) {
		r := embeddedRig(t)
		rows := r.mails(1)
		_, h := r.heldService(false, short)
		<-h.begun
		release := r.hang()
		select {
		case <-h.broken:
		case <-time.After(patience):
			t.Fatal("it goes on without a lease")
		}
		release()
		r.settled(store.Sent, rows...)
		if a := r.attempts(rows[0].ID); len(a) != 2 || h.sends != 2 {
			t.Errorf("%d sends, attempts %+v", h.sends, a)
		}
	})
	t.Run("after the dot", func(t *testing.T) {
		r := embeddedRig(t)
		rows := r.mails(1)
		s, h := r.heldService(true, short)
		<-h.begun
		release := r.hang()
		_ = waitFor(t.Context(), nil, 3*lease)
		close(h.answer)
		put(t, r.queue, dues(rows)...) // as if the queue had lost the lease
		release()
		r.settled(store.Sent, rows...)
		r.until("an empty queue", func() bool {
			st := s.Status(t.Context())
			return st.Waiting+st.Leased == 0
		})
		select {
		case <-h.broken:
			t.Error("broken off after its dot")
		default:
		}
		if d := r.delivery(rows[0].ID); d.Attempts != 1 || h.sends != 1 {
			t.Errorf("%d sends, %+v", h.sends, d)
		}
	})
}

func TestGate(t *testing.T) {
	first, second := &gate{}, &gate{}
	if !first.pass() || first.shut() || !first.pass() {
		t.Error("a dot that went out is held for none")
	}
	if !second.shut() || second.pass() || !second.shut() {
		t.Error("a dot goes out after the end")
	}
	if !(*gate)(nil).pass() {
		t.Error("no gate is shut")
	}
}

// lostWorker claims a delivery and is not heard of again.
func (r *rig) lostWorker(id string) (*Service, store.Delivery) {
	r.t.Helper()
	opt := r.options()
	opt.Lease = time.Millisecond
	s, err := New(opt)
	if err != nil {
		r.t.Fatal(err)
	}
	d, _, ok, err := s.claim(r.t.Context(), id)
	if !ok || err != nil {
		r.t.Fatal(ok, err)
	}
	r.until("the end of the lease", func() bool { return d.LeaseUntil.Before(s.leaseEnd()) })
	return s, d
}

// TestLateSent: another node gave a worker up; what the worker knows by then
// still counts, as long as nobody sends again.
func TestLateSent(t *testing.T) {
	r := embeddedRig(t)
	rows := r.mails(1)
	worker, d := r.lostWorker(rows[0].ID)
	other, err := New(r.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.endLeases(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.settled(store.Unknown, rows...)
	if _, ok := worker.finish(t.Context(), d, store.Outcome{State: store.Sent, Attempt: &store.Attempt{Code: 250}}); ok {
		t.Error("what was sent waits")
	}
	r.settled(store.Sent, rows...)
	r.start()
	_ = waitFor(t.Context(), nil, 300*time.Millisecond) // a few comparisons
	if n := len(r.sink.Complete()); n != 0 {
		t.Errorf("%d more copies", n)
	}
}

// TestGrace: a node whose clock is a little ahead takes nothing from others.
func TestGrace(t *testing.T) {
	r := embeddedRig(t)
	rows := r.mails(1)
	r.lostWorker(rows[0].ID)
	opt := r.options()
	opt.Grace = time.Hour
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.endLeases(t.Context()); err != nil || r.delivery(rows[0].ID).State != store.Sending {
		t.Errorf("taken within the grace: %+v, %v", r.delivery(rows[0].ID), err)
	}
	s.opt.Grace = time.Millisecond
	if err := s.endLeases(t.Context()); err != nil || r.delivery(rows[0].ID).State != store.Unknown {
		t.Errorf("not taken: %+v, %v", r.delivery(rows[0].ID), err)
	}
}

// TestCrashLoop: a mail that costs worker after worker is tried ever less
// often, and given up in the end.
func TestCrashLoop(t *testing.T) {
	r := embeddedRig(t)
	opt := r.options()
	opt.RetryBase, opt.RetryMax = time.Hour, 4*time.Hour
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	rows := r.mails(1)
	rows = append(rows, r.mail(func(_ *store.Mail, d []store.Delivery) { d[0].CreatedAt = time.Now().Add(-80 * time.Hour) }, "old@example.net")...)
	for loss := range 2 {
		for _, row := range rows {
			r.lostWorker(row.ID)
			// A worker that gets an entry all the same leaves it alone.
			if _, ok := s.attempt(t.Context(), row.Due()); ok || r.delivery(row.ID).Fence != int64(2*loss+1) {
				t.Errorf("begun again at once: %+v", r.delivery(row.ID))
			}
		}
		if err := s.endLeases(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := r.delivery(rows[0].ID); d.State != store.Unknown || d.NextAttemptAt.After(time.Now()) == (loss == 0) {
			t.Errorf("loss %d: %+v", loss, d)
		}
	}
	if d := r.delivery(rows[1].ID); d.State != store.Failure || d.Reason != reasonExpired {
		t.Errorf("the old one: %+v", d)
	}
}

// logText is a log that several goroutines write to.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func (l *logText) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
