package outbound

import (
	"context"
	"errors"
	"sync"
	"time"

	"ticketgate/store"
)

// leaseEnd is the time up to which a lease in the ledger must have lasted for
// its worker to be alive. Leases are compared over the clocks of all nodes: as
// long as those are not further apart than Grace, nobody takes a delivery from
// a worker that still thinks it has it.
func (s *Service) leaseEnd() time.Time { return s.opt.Now().Add(-s.opt.Grace) }

// keepLease renews the lease in ledger and queue until stop. Once the ledger
// says that the delivery is not ours any more, or the lease has ended because
// the store did not answer, the attempt is broken off: unless the message's
// final dot is out already, when only the answer is of use.
func (s *Service) keepLease(ctx context.Context, d store.Delivery) (attempt context.Context, final *gate, stop func()) {
	attempt, breakOff := context.WithCancel(ctx)
	renewing, end := context.WithCancel(ctx)
	final = &gate{}
	lost := func() {
		if final.shut() {
			s.opt.Log.Warn("a lease was lost while sending", "delivery_id", d.ID)
			breakOff()
		}
	}
	until := d.LeaseUntil
	timer := time.AfterFunc(until.Sub(s.opt.Now()), lost)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for waitFor(renewing, nil, s.renewAfter(until)) == nil {
			next, ours, err := s.renew(renewing, d)
			switch {
			case err != nil: // the store may be back before the lease ends
			case !ours:
				lost()
				return
			default:
				until = next
				timer.Reset(max(0, until.Sub(s.opt.Now())))
			}
		}
	}()
	return attempt, final, func() {
		end()
		timer.Stop()
		breakOff()
		<-done
	}
}

// renewAfter is a third of a lease, and less where not much is left of it.
func (s *Service) renewAfter(until time.Time) time.Duration {
	span := s.opt.Lease / 3
	if left := until.Sub(s.opt.Now()); left > 0 {
		span = min(span, max(left/2, s.opt.Lease/30))
	}
	return span
}

// renew tells until when the lease lasts now; ours is false when another has
// the delivery for certain.
func (s *Service) renew(ctx context.Context, d store.Delivery) (until time.Time, ours bool, err error) {
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		until = s.opt.Now().Add(s.opt.Lease)
		ours, err = tx.ExtendLease(ctx, d.ID, d.Fence, until)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			s.opt.Log.Warn("a lease can't be renewed in the ledger", "delivery_id", d.ID, "error", err)
		}
		return until, false, err
	}
	if !ours {
		return until, false, nil
	}
	if _, err := s.opt.Queue.Extend(ctx, d.ID, s.worker, s.opt.Lease); err != nil && ctx.Err() == nil {
		s.queueSays(err)
	}
	return until, true, nil
}

// gate lets a message's final dot pass, or is shut before. After the dot the
// message is the next hop's, and breaking off would only lose the answer.
type gate struct {
	mu     sync.Mutex
	passed bool // guarded by mu
	closed bool // guarded by mu
}

var errGateShut = errors.New("the lease ended before the message did")

// pass tells whether the dot may go out; from then on shut fails.
func (g *gate) pass() bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed = g.passed || !g.closed
	return !g.closed
}

// shut tells whether no dot went out, and none will.
func (g *gate) shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = g.closed || !g.passed
	return !g.passed
}

// flight knows which deliveries the workers of this process have, whatever has
// become of their leases.
type flight struct {
	mu  sync.Mutex
	ids map[string]bool // guarded by mu
}

// begin is false where a worker has the delivery already.
func (f *flight) begin(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids[id] {
		return false
	}
	f.ids[id] = true
	return true
}

func (f *flight) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ids, id)
}

func (f *flight) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[id]
}
