// Package webhook tells other programs what happens to tickets: it takes events
// from the journal into the outbox of the store, and sends what waits there as
// the Standard Webhooks specification says. Any number of nodes may do so at
// once; each message is sent at least once, under one webhook-id, and those of
// one ticket in their order.
package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"ticketgate/store"
)

// Options set up a Service.
type Options struct {
	DB        *store.DB                 // required
	Seal      *store.Sealer             // required: secrets lie under it
	Reference func(number int64) string // required: of a ticket
	// Disable switches a webhook off whose receiver is gone, and tells the
	// admins. It is called until it succeeds or the webhook is off. Required.
	Disable func(ctx context.Context, id string) error
	Allow   []netip.Prefix // networks that are reached although they are private, and with http as well
	Version string         // of the program, for the User-Agent
	Roots   *x509.CertPool // nil: the system's
	Timeout time.Duration  // of one attempt; 0: 10 s
	Poll    time.Duration  // how often it is looked for what other nodes wrote, and what became due; 0: 1 s
	Now     func() time.Time
	Jitter  func() float64 // from 0 to 1; nil: by chance
	Log     *slog.Logger
	Observe func(result string) // told of each attempt, by a Result word; safe for concurrent use
}

// The results that Observe is told.
const (
	ResultDelivered = "delivered"
	ResultFailed    = "failed"
)

// The bounds of sending.
const (
	timeLimit = 10 * time.Second // of one attempt
	lease     = time.Minute      // of a claim: far longer than an attempt and its outcome take
	together  = 8                // messages to one webhook on their way from one node
	feedBatch = 200              // events that one transaction takes
)

// Service is one node's part in sending. Its methods may be called from several
// goroutines at once, Run once.
type Service struct {
	opt     Options
	secure  *http.Client // for https
	plain   *http.Client // for http, which reaches allowed networks alone
	senders sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool // guarded by mu: webhooks that a goroutine of this node sends to
	ring chan struct{}   // holds a token when a sender has ended and there may be more to do
}

// New makes a Service. Close gives its connections back.
func New(opt Options) (*Service, error) {
	if opt.DB == nil || opt.Seal == nil || opt.Reference == nil || opt.Disable == nil {
		return nil, errors.New("webhooks need a store, a sealer, references and somebody to tell")
	}
	if opt.Timeout == 0 {
		opt.Timeout = timeLimit
	}
	if opt.Poll == 0 {
		opt.Poll = time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Jitter == nil {
		opt.Jitter = rand.Float64
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Observe == nil {
		opt.Observe = func(string) {}
	}
	reach := policy(opt.Allow)
	return &Service{
		opt: opt, busy: map[string]bool{}, ring: make(chan struct{}, 1),
		secure: newClient(reach.secure, opt), plain: newClient(reach.plain, opt),
	}, nil
}

// Close gives idle connections back.
func (s *Service) Close() {
	s.secure.CloseIdleConnections()
	s.plain.CloseIdleConnections()
}

// Run sends until ctx ends, and returns when the attempts that are under way
// have ended as well, which takes at most 10 s.
func (s *Service) Run(ctx context.Context) {
	defer s.senders.Wait()
	failing := false
	for {
		added := s.opt.DB.EventsAdded() // before looking, so that no commit is missed
		err := s.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			s.opt.Log.WarnContext(ctx, "webhooks wait: the store does not answer", "err", err)
		}
		failing = err != nil
		if failing {
			added = nil
		}
		poll := time.NewTimer(s.opt.Poll)
		select {
		case <-ctx.Done():
		case <-added:
		case <-s.ring:
		case <-poll.C:
		}
		poll.Stop()
	}
}

// round takes what is new from the journal, and sees that somebody sends what is
// due.
func (s *Service) round(ctx context.Context) error {
	if err := s.feed(ctx); err != nil {
		return err
	}
	var due []string
	err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		due, err = tx.WebhooksDue(ctx, s.opt.Now())
		return err
	})
	for _, id := range due {
		if s.begin(id) {
			s.senders.Go(func() {
				defer s.end(id)
				s.sendAll(ctx, id)
			})
		}
	}
	return err
}

// begin notes that somebody sends to a webhook; false where somebody does.
func (s *Service) begin(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[id] {
		return false
	}
	s.busy[id] = true
	return true
}

// end has Run look again: what came while the sender went is due still.
func (s *Service) end(id string) {
	s.mu.Lock()
	delete(s.busy, id)
	s.mu.Unlock()
	select {
	case s.ring <- struct{}{}:
	default:
	}
}
