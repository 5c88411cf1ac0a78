package outbound

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// waitAtMost bounds one Wait for the queue, and how late a bell that got lost
// is made up for.
const waitAtMost = time.Second

// dispatch takes entries as long as a worker is free and the next hop is there,
// and hands each to a goroutine of its own. attempts is the context of those.
func (s *Service) dispatch(ctx, attempts context.Context) {
	free := make(chan struct{}, s.opt.Workers)
	for ctx.Err() == nil {
		s.route.pass(ctx)
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		due, ok := s.next(ctx)
		if !ok {
			<-free
			continue
		}
		s.sending.Go(func() {
			defer func() { <-free }()
			s.handle(attempts, due)
		})
	}
}

// next takes the next due entry, or waits a while.
func (s *Service) next(ctx context.Context) (store.Due, bool) {
	if ctx.Err() != nil {
		return store.Due{}, false
	}
	due, ok, err := s.opt.Queue.Take(ctx, s.worker, s.opt.Lease)
	if err == nil && !ok {
		err = s.opt.Queue.Wait(ctx, waitAtMost)
	}
	if ctx.Err() != nil && !ok {
		return due, false
	}
	s.queueSays(err)
	if err != nil {
		_ = waitFor(ctx, nil, jitter(waitAtMost))
	}
	return due, ok
}

// handle sees one entry through, and leaves it neither leased nor forgotten.
func (s *Service) handle(ctx context.Context, due store.Due) {
	again, ok := s.limited(ctx, due)
	if !ok {
		again, ok = s.attempt(ctx, due)
	}
	// Whatever became of ctx: a lease that stays would keep the delivery back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.opt.Queue.Done(ctx, due.DeliveryID, s.worker)
	if ok {
		err = errors.Join(err, s.opt.Queue.Put(ctx, again))
	}
	s.queueSays(err)
}

// limited tells whether the account has sent enough for now, and gives the
// entry that asks again. It counts as no attempt and leaves the ledger alone.
func (s *Service) limited(ctx context.Context, due store.Due) (store.Due, bool) {
	account := s.account(ctx, due.AccountID)
	if account == nil || account.MessagesPerMinute <= 0 {
		return due, false
	}
	wait, err := s.opt.Queue.Allow(ctx, account.ID, account.MessagesPerMinute)
	if err != nil {
		// Without the queue nobody can say who sent how much: it waits.
		wait = waitAtMost
	}
	if wait <= 0 {
		return due, false
	}
	// Spread a little, so that all that wait don't ask at the same moment.
	due.DueAt = s.opt.Now().Add(wait + rand.N(wait/4+1))
	return due, true
}

func (s *Service) account(ctx context.Context, id string) *store.MailAccount {
	desk, err := s.opt.DB.Desk(ctx)
	if err != nil {
		return nil
	}
	return desk.Account(id)
}

// attempt claims a delivery, tries it, and writes what came of it. It gives the
// entry to put into the queue, if there is to be one.
func (s *Service) attempt(ctx context.Context, due store.Due) (again store.Due, ok bool) {
	begun := s.opt.Now()
	d, m, granted, err := s.claim(ctx, due.DeliveryID, begun)
	if err != nil {
		if store.IsNotFound(err) {
			return due, false
		}
		s.opt.Log.Error("a delivery can't be claimed", "delivery_id", due.DeliveryID, "error", err)
		_ = waitFor(ctx, nil, jitter(waitAtMost)) // keeps this worker from asking without pause
		due.DueAt = s.opt.Now()
		return due, true
	}
	if !granted {
		// Done, held, cancelled, somebody else's, or not due yet.
		return d.Due(), d.State.Waiting()
	}
	attempt, stop := s.keepLease(ctx, d)
	defer stop() // after the outcome is written, however long that takes
	out := s.try(attempt, d, m)
	o := s.outcome(d, out)
	s.logAttempt(d, m, o, out, s.opt.Now().Sub(begun))
	return s.finish(ctx, d, o)
}

// claim asks the ledger for the delivery. Not granted, d is as it stands.
func (s *Service) claim(ctx context.Context, id string, now time.Time) (d store.Delivery, m store.Mail, granted bool, err error) {
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, m, granted, err = tx.ClaimDelivery(ctx, id, now, now.Add(s.opt.Lease))
		if err == nil && !granted {
			d, err = tx.Delivery(ctx, id)
		}
		return err
	})
	return d, m, granted && err == nil, err
}

// keepLease renews the lease in ledger and queue until stop. When the ledger
// says that the delivery is not ours any more, the attempt is broken off.
func (s *Service) keepLease(ctx context.Context, d store.Delivery) (attempt context.Context, stop func()) {
	attempt, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for waitFor(attempt, nil, s.opt.Lease/3) == nil {
			if !s.renew(attempt, d) {
				cancel()
			}
		}
	}()
	return attempt, func() {
		cancel()
		<-done
	}
}

// renew is false only when another has the delivery for certain.
func (s *Service) renew(ctx context.Context, d store.Delivery) bool {
	ours := true
	err := s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		ours, err = tx.ExtendLease(ctx, d.ID, d.Fence, s.opt.Now().Add(s.opt.Lease))
		return err
	})
	if err != nil {
		s.opt.Log.Warn("a lease can't be renewed in the ledger", "delivery_id", d.ID, "error", err)
		return true
	}
	if !ours {
		s.opt.Log.Warn("a lease was lost while sending", "delivery_id", d.ID)
		return false
	}
	if _, err := s.opt.Queue.Extend(ctx, d.ID, s.worker, s.opt.Lease); err != nil && ctx.Err() == nil {
		s.queueSays(err)
	}
	return true
}

// try composes, signs and sends.
func (s *Service) try(ctx context.Context, d store.Delivery, m store.Mail) tried {
	if s.ownAddress(ctx, d) {
		return tried{state: store.Failure, reason: "own address",
			result: result{reply: reply{enhanced: "5.4.6", text: "the recipient is an address of this desk: the mail would come back"}}}
	}
	e, err := envelopeOf(d)
	if err != nil {
		return tried{state: store.Failure, reason: "bad address",
			result: result{reply: reply{enhanced: "5.1.3", text: "the address can't be written"}, err: err}}
	}
	raw, err := compose(ctx, m, s.opt.DB.Blob, !isASCII(e.to))
	if err != nil {
		return unsendable(err, store.Failure, "can't be composed")
	}
	if raw, err = s.sign(ctx, m, raw); err != nil {
		return unsendable(err, store.Held, "can't be signed")
	}
	r := s.transport.send(ctx, e, raw)
	switch {
	case ctx.Err() == nil:
		s.noteRoute(r)
	case r.down():
		r.class = classDeferred // it was we who broke off
	}
	return tried{result: r, sent: true}
}

// tried is what came of an attempt, before it is an outcome.
type tried struct {
	result
	sent   bool                // the transport was asked: result's class counts
	state  store.DeliveryState // else what the delivery is now
	reason string
}

// unsendable is for a mail that did not get as far as the transport: trouble of
// the store passes, anything else is the mail's own.
func unsendable(err error, state store.DeliveryState, reason string) tried {
	if store.CodeOf(err) == store.CodeUnavailable || errors.Is(err, context.Canceled) {
		state, reason = store.Deferred, "store unavailable"
	}
	return tried{state: state, reason: reason, result: result{err: err}}
}

func envelopeOf(d store.Delivery) (envelope, error) {
	to, err := wireAddress(d.Recipient)
	if err != nil {
		return envelope{}, fmt.Errorf("recipient: %w", err)
	}
	from := ""
	if d.ReturnPath != "" {
		if from, err = wireAddress(d.ReturnPath); err != nil {
			return envelope{}, fmt.Errorf("return path: %w", err)
		}
	}
	return envelope{id: d.ID, from: from, to: to}, nil
}

// ownAddress tells a recipient that is an account of ours, with or without a
// plus tag: the mail would come in again.
func (s *Service) ownAddress(ctx context.Context, d store.Delivery) bool {
	desk, err := s.opt.DB.Desk(ctx)
	if err != nil {
		return false
	}
	key := d.RecipientKey
	if key == "" {
		if a, err := message.ParseAddress(d.Recipient); err == nil {
			key = a.Key()
		}
	}
	at := strings.LastIndexByte(key, '@')
	if at < 0 {
		return false
	}
	base, _, _ := strings.Cut(key[:at], "+")
	return desk.AccountByKey(key) != nil || desk.AccountByKey(base+key[at:]) != nil
}

// sign signs as the account wants it. A domain without a key sends unsigned,
// which is noted.
func (s *Service) sign(ctx context.Context, m store.Mail, raw []byte) ([]byte, error) {
	if account := s.account(ctx, m.AccountID); account != nil && !account.Sign {
		return raw, nil
	}
	domain := m.From.Address[strings.LastIndexByte(m.From.Address, '@')+1:]
	signed, n, err := s.opt.Keyring.Sign(ctx, domain, raw)
	if err != nil {
		if store.CodeOf(err) != store.CodeUnavailable && ctx.Err() == nil {
			s.alarm("a mail is held: it can't be signed", "mail", m.ID, "ticket", m.Ticket, "domain", domain, "error", err)
		}
		return nil, err
	}
	if n == 0 {
		s.metrics.unsigned.Inc()
		s.opt.Log.Warn("a mail leaves unsigned: its domain has no active DKIM key", "mail", m.ID, "domain", domain)
	}
	return signed, nil
}
