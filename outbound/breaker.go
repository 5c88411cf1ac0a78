package outbound

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// breaker keeps all deliveries from a next hop that can't be talked to: one
// probe at a time finds out when it can be again.
type breaker struct {
	mu     sync.Mutex
	reason string        // "" while the last one that talked to it could; guarded by mu
	open   chan struct{} // nil while messages may go; closed when they may again; guarded by mu
	trips  chan result   // wakes the prober
}

func newBreaker() *breaker { return &breaker{trips: make(chan result, 1)} }

// note keeps what an attempt says about the next hop, and tells whether it is
// the one that found it gone.
func (b *breaker) note(r result) (tripped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.class == classUntrusted:
		b.reason = r.explain()
	case r.down():
		b.reason = r.explain()
		if b.open != nil {
			return false
		}
		b.open = make(chan struct{})
		b.trips <- r // has room: the prober took the last one before it closed the breaker
		return true
	case r.class == classUnknown || r.class == classDeferred && r.err != nil:
		// A broken connection says nothing about the next one.
	default:
		b.reason = ""
	}
	return false
}

// restore lets messages go again.
func (b *breaker) restore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason = ""
	if b.open != nil {
		close(b.open)
		b.open = nil
	}
}

// again keeps what the last probe said.
func (b *breaker) again(r result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason = r.explain()
}

// pass returns at once while messages may go, else when they may again or ctx
// ends.
func (b *breaker) pass(ctx context.Context) {
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	if open == nil {
		return
	}
	select {
	case <-open:
	case <-ctx.Done():
	}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open != nil
}

func (b *breaker) lastError() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// probeLoop looks at the next hop once at the start, and again and again while
// it is down. Where a log-in is refused it asks at the slowest pace: servers
// lock out those who insist.
func (s *Service) probeLoop(ctx context.Context) {
	if first := s.probe(ctx); ctx.Err() == nil && first.class != classSent {
		s.noteRoute(first)
	}
	for {
		var trip result
		select {
		case trip = <-s.route.trips:
		case <-ctx.Done():
			return
		}
		s.reconcileSoon(false) // so that what waits says why
		span := s.opt.RouteRetry
		for trip.down() {
			if trip.class == classConfig {
				span = s.opt.RouteMax
			}
			if waitFor(ctx, nil, jitter(span)) != nil {
				return
			}
			span = min(2*span, s.opt.RouteMax)
			if trip = s.probe(ctx); trip.down() {
				s.route.again(trip)
			}
			if ctx.Err() != nil {
				return
			}
		}
		s.opt.Log.Info("the smarthost can be reached again", "host", trip.host)
		s.route.restore()
		if trip.class != classSent {
			s.noteRoute(trip)
		}
	}
}

func (s *Service) probe(ctx context.Context) result {
	r := s.transport.probe(ctx)
	if r.class != classSent {
		s.opt.Log.DebugContext(ctx, "probe of the smarthost", "host", r.host, "class", r.class, "text", r.explain())
	}
	return r
}

// noteRoute passes a result to the breaker, with an alarm where a person has
// to do something.
func (s *Service) noteRoute(r result) {
	tripped := s.route.note(r)
	switch {
	case r.class == classConfig && tripped:
		s.alarm("the smarthost refuses our log-in", "host", r.host, "code", r.code, "text", r.explain())
	case r.class == classUntrusted:
		s.alarm("the smarthost can't be reached over TLS as demanded", "host", r.host, "text", r.explain())
	case tripped:
		s.opt.Log.Warn("the smarthost can't be reached; deliveries wait", "host", r.host, "code", r.code, "text", r.explain())
	}
}

// alarm is for what does not get better without a person.
func (s *Service) alarm(text string, args ...any) {
	s.metrics.alarms.Inc()
	s.opt.Log.Error("alarm: "+text, args...)
}

// jitter spreads a span by a fifth to either side, so that nodes that failed
// together don't come back together.
func jitter(span time.Duration) time.Duration {
	return span*4/5 + rand.N(max(1, span*2/5))
}
