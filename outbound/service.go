// Package outbound carries the mails of the ledger out: it composes and signs
// them, keeps the queue of what is due, talks SMTP, and writes what came of it
// back to the ledger.
//
// The ledger (package store) is the record, the queue only says what is due. A
// worker takes an entry from the queue and claims the delivery in the ledger,
// which gives it a fence; whoever holds an older fence writes nothing. So an
// entry too many does nothing, and an entry lost is put back by the reconciler.
//
//	take entry ─► claim row ─► compose ─► sign ─► send ─► finish row ─► done
//	                 │ refused: somebody has it, or it is not due     │ deferred, unknown
//	                 ▼                                                ▼
//	               done                                        put again, due later
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/store"
)

// Options says what a Service is made of. DB, Queue, Keyring, Smarthost and
// Hostname must be set; the rest has defaults.
type Options struct {
	DB        *store.DB
	Queue     Queue // stays the caller's: Stop does not close it
	Keyring   *Keyring
	Smarthost string      // outbound.smarthost: see parseSmarthost
	Hostname  string      // said in EHLO
	TLS       *tls.Config // roots for the smarthost's certificate; nil: the system's
	Workers   int         // deliveries under way at a time; 8
	MaxAge    time.Duration
	Log       *slog.Logger
	Metrics   prometheus.Registerer // nil: none
	Now       func() time.Time

	// Outcome is called in the transaction that writes what came of a
	// delivery; Late in the one that notes that a delivery has waited for
	// LateAfter. Both may be called again when the transaction is repeated.
	Outcome func(ctx context.Context, tx *store.Tx, d store.Delivery, o store.Outcome) error
	Late    func(ctx context.Context, tx *store.Tx, d store.Delivery) error

	RetryBase  time.Duration // before the second attempt, doubling with jitter; 1 min
	RetryMax   time.Duration // between attempts at most; 4 h
	LateAfter  time.Duration // 4 h
	Lease      time.Duration // a worker that is silent for so long has lost its delivery; 30 s
	Grace      time.Duration // the clocks of two nodes differ by no more than that; 5 s
	Reconcile  time.Duration // between two comparisons of ledger and queue; 30 s
	Poll       time.Duration // between two looks for what other processes changed in the ledger; 1 s
	RouteRetry time.Duration // before the first probe of a smarthost that is down, doubling; 1 s
	RouteMax   time.Duration // between two probes at most; 30 s

	smtp      smtpLimits    // tests shorten them
	stopLimit time.Duration // what is broken off may take to end: time for a last try to write an outcome
}

func (o *Options) fill() error {
	if o.DB == nil || o.Queue == nil || o.Keyring == nil || o.Smarthost == "" {
		return errors.New("outbound: DB, Queue, Keyring and Smarthost must be given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Workers <= 0 {
		o.Workers = 8
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.MaxAge, 72 * time.Hour}, {&o.RetryBase, time.Minute}, {&o.RetryMax, 4 * time.Hour},
		{&o.LateAfter, 4 * time.Hour}, {&o.Lease, 30 * time.Second}, {&o.Grace, 5 * time.Second}, {&o.Reconcile, 30 * time.Second},
		{&o.Poll, time.Second}, {&o.RouteRetry, time.Second}, {&o.RouteMax, 30 * time.Second},
		{&o.stopLimit, writeLimit},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if o.smtp == (smtpLimits{}) {
		o.smtp = defaultLimits()
	}
	return nil
}

// Service carries mail out from Start to Stop. Queued and Status may be called
// at any time, by several goroutines at once.
type Service struct {
	opt       Options
	worker    string // who we are in the queue's leases
	transport transport
	route     *breaker
	metrics   *metrics

	queueDown atomic.Bool
	kick      chan struct{} // asks for a reconciliation
	full      atomic.Bool   // the next one is to be a full one
	examined  knownIDs      // of reconcile's goroutine alone
	flight    flight

	stopTaking context.CancelFunc // ends the loops
	abort      context.CancelFunc // ends attempts under way
	loops      sync.WaitGroup
	sending    sync.WaitGroup
}

// New makes a Service that does nothing before Start.
func New(opt Options) (*Service, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	if !isHostName(opt.Hostname) {
		return nil, fmt.Errorf("outbound: the hostname is none")
	}
	transport, err := openTransport(opt.Smarthost, opt.Hostname, opt.TLS, opt.smtp)
	if err != nil {
		return nil, err
	}
	s := &Service{
		opt: opt, transport: transport, route: newBreaker(), kick: make(chan struct{}, 1), examined: knownIDs{}, flight: flight{ids: map[string]bool{}},
		worker: opt.Hostname + "/" + strconv.Itoa(os.Getpid()) + "/" + store.NewID(),
	}
	s.metrics, err = newMetrics(s, opt.Metrics)
	return s, err
}

// Start begins to work, and returns at once: neither a queue nor a smarthost
// that can't be reached is an error. It is called once; ctx only carries
// values.
func (s *Service) Start(ctx context.Context) error {
	if s.stopTaking != nil {
		return errors.New("outbound: started already")
	}
	ctx = context.WithoutCancel(ctx)
	taking, stopTaking := context.WithCancel(ctx)
	attempts, abort := context.WithCancel(ctx)
	s.stopTaking, s.abort = stopTaking, abort
	s.loops.Go(func() { s.dispatch(taking, attempts) })
	s.loops.Go(func() { s.reconcileLoop(taking) })
	s.loops.Go(func() { s.pollLoop(taking) })
	s.loops.Go(func() { s.probeLoop(taking) })
	return nil
}

// Stop takes no new work and waits for what is being sent. When ctx ends first
// that is broken off: what had its final dot sent is unknown then, the rest is
// deferred. All goroutines have ended when it returns, but for those that a
// store or a queue which does not answer keeps for more than 10 s longer; the
// error is ctx's. It may be called again.
func (s *Service) Stop(ctx context.Context) error {
	if s.stopTaking == nil {
		return nil
	}
	s.stopTaking()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.loops.Wait() // before sending: dispatch adds to that
		s.sending.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.abort()
		select {
		case <-done:
		case <-time.After(s.opt.stopLimit):
			s.opt.Log.Error("stopped without waiting for a store or a queue that does not answer")
		}
	}
	s.abort()
	s.transport.close()
	s.metrics.unregister()
	return err
}

// queuedLimit bounds what the one who answers a ticket waits for the queue.
const queuedLimit = 250 * time.Millisecond

// Queued puts deliveries that were committed into the queue. It takes at most
// 250 ms and never errs: what does not get there now, the reconciler brings.
func (s *Service) Queued(ctx context.Context, due []store.Due) {
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queuedLimit)
	defer cancel()
	s.queueSays(s.opt.Queue.Put(ctx, due...))
}

// Removed takes deliveries that do not wait any more out of the queue. It takes
// at most 250 ms and never errs: an entry that stays does nothing.
func (s *Service) Removed(ctx context.Context, ids ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queuedLimit)
	defer cancel()
	for _, id := range ids {
		if err := s.opt.Queue.Remove(ctx, id); err != nil {
			s.queueSays(err)
			return
		}
	}
}

// queueSays notes whether the queue can be reached; when it can again, all of
// the ledger is compared with it, due times too.
func (s *Service) queueSays(err error) {
	if err != nil {
		if !s.queueDown.Swap(true) {
			s.opt.Log.Error("the queue can't be reached; deliveries wait in the ledger", "error", err)
		}
		return
	}
	if s.queueDown.Swap(false) {
		s.opt.Log.Info("the queue can be reached again")
		s.reconcileSoon(true)
	}
}

// reconcileSoon asks for a reconciliation, unless that is asked already.
func (s *Service) reconcileSoon(full bool) {
	if full {
		s.full.Store(true)
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Status tells how outbound mail is doing.
type Status struct {
	QueueOK     bool
	SmarthostOK bool
	Waiting     int    // entries in the queue that are not being sent
	Leased      int    // entries that are being sent
	LedgerOnly  int    // deliveries that wait in the ledger and have no entry
	LastError   string // of the smarthost, while it is not OK
}

// Status asks queue and ledger. What can't be reached shows as not OK, with
// everything in the ledger only.
func (s *Service) Status(ctx context.Context) Status {
	st := Status{LastError: s.route.lastError()}
	st.SmarthostOK = st.LastError == ""
	var err error
	if st.Waiting, st.Leased, err = s.opt.Queue.Len(ctx); err == nil {
		st.QueueOK = true
	}
	counts, _, err := s.ledgerCounts(ctx)
	if err != nil {
		return st
	}
	waiting := counts[store.Queued] + counts[store.Deferred] + counts[store.Unknown]
	st.LedgerOnly = max(0, waiting-st.Waiting)
	return st
}

func (s *Service) ledgerCounts(ctx context.Context) (counts map[store.DeliveryState]int, oldest time.Time, err error) {
	err = s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		counts, oldest, err = tx.LedgerCounts(ctx)
		return err
	})
	return counts, oldest, err
}
