package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// measurement is what one target did with one set of mails.
type measurement struct {
	sent, failed int
	took         time.Duration
	replies      []time.Duration // after the dot, of the mails that were taken
	cpu, dbCPU   time.Duration   // of the server, and of its database, while it ran
	complaint    string          // the first failure
}

// tally is what one session counted.
type tally struct {
	sent, failed int
	replies      []time.Duration
	complaint    string
}

// send gives the mails, in order, to as many sessions, which were connected
// before the clock starts. A mail that is refused or whose connection breaks is
// a failure and is not sent again. The error is that no session could be had.
func send(ctx context.Context, t target, to string, mails []mail, sessions int) (measurement, error) {
	open := make([]*session, sessions)
	defer func() {
		for _, s := range open {
			if s != nil {
				s.close()
			}
		}
	}()
	for i := range open {
		var err error
		if open[i], err = openSession(ctx, t.addr, to); err != nil {
			return measurement{}, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	before := t.usage()
	begun := time.Now()
	tallies := make([]tally, sessions)
	var next atomic.Int64
	var all sync.WaitGroup
	for i := range open {
		all.Go(func() { open[i] = tallies[i].work(ctx, open[i], t.addr, mails, &next) })
	}
	all.Wait()
	m := measurement{took: time.Since(begun)}
	after := t.usage()
	m.cpu, m.dbCPU = after.own-before.own, after.db-before.db
	for _, c := range tallies {
		m.sent += c.sent
		m.failed += c.failed
		m.replies = append(m.replies, c.replies...)
		if m.complaint == "" {
			m.complaint = c.complaint
		}
	}
	return m, ctx.Err()
}

// work delivers until the mails are used up, and returns its session, or nil
// when that broke and no other could be had.
func (c *tally) work(ctx context.Context, s *session, addr string, mails []mail, next *atomic.Int64) *session {
	to := s.to
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= len(mails) {
			break
		}
		took, err := s.deliver(mails[i])
		if err == nil {
			c.sent++
			c.replies = append(c.replies, took)
			continue
		}
		c.failed++
		if c.complaint == "" {
			c.complaint = err.Error()
		}
		if _, refused := errors.AsType[*refusal](err); refused {
			continue
		}
		s.close()
		if s, err = openSession(ctx, addr, to); err != nil {
			return nil // the others go on, and the mails that are left are theirs
		}
	}
	return s
}
