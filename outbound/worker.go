package outbound

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
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
	if !s.flight.begin(due.DeliveryID) {
		// A worker of this process has it: the queue forgot its lease.
		due.DueAt = s.opt.Now().Add(jitter(waitAtMost))
		return due, true
	}
	defer s.flight.end(due.DeliveryID)
	begun := s.opt.Now()
	d, m, granted, err := s.claim(ctx, due.DeliveryID)
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
		return s.notGranted(d)
	}
	if now := s.opt.Now(); !now.Before(d.LeaseUntil) {
		s.opt.Log.Warn("the store took longer than a lease to grant it", "delivery_id", d.ID)
		return s.finish(ctx, d, store.Outcome{State: store.Deferred, Reason: reasonSlow, NextAttemptAt: now.Add(jitter(waitAtMost))})
	}
	attempt, final, stop := s.keepLease(ctx, d)
	defer stop() // after the outcome is written, however long that takes
	out := s.guarded(attempt, d, m, final)
	o := s.outcome(d, out)
	s.logAttempt(d, m, o, out, s.opt.Now().Sub(begun))
	return s.finish(ctx, d, o)
}

// claim asks the ledger for the delivery. Not granted, d is as it stands. The
// lease begins when the ledger is asked, not when the store was begun to be
// waited for.
func (s *Service) claim(ctx context.Context, id string) (d store.Delivery, m store.Mail, granted bool, err error) {
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now := s.opt.Now()
		d, m, granted, err = tx.ClaimDelivery(ctx, id, now, now.Add(s.opt.Lease))
		if err == nil && !granted {
			d, err = tx.Delivery(ctx, id)
		}
		return err
	})
	return d, m, granted && err == nil, err
}

// notGranted is for what is done, held, cancelled, somebody else's, or not due
// yet. Only the reconciler takes a delivery from a worker that is lost, so that
// one which kills its workers is not begun again at once.
func (s *Service) notGranted(d store.Delivery) (again store.Due, ok bool) {
	if d.State == store.Sending && !d.LeaseUntil.After(s.leaseEnd()) {
		s.reconcileSoon(false)
	}
	return d.Due(), d.State.Waiting()
}

// guarded is try; should that panic, it costs this delivery and no other.
func (s *Service) guarded(ctx context.Context, d store.Delivery, m store.Mail, final *gate) (out tried) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		s.alarm("a delivery made its worker panic", "delivery_id", d.ID, "mail", m.ID, "ticket", d.Ticket,
			"panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
		out = tried{state: store.Failure, reason: reasonUncomposed, result: result{err: errors.New("a fault of the program; see its log")}}
		if !final.shut() {
			out.state, out.reason = stateOf(classUnknown)
		}
	}()
	return s.try(ctx, d, m, final)
}

// try composes, signs and sends.
func (s *Service) try(ctx context.Context, d store.Delivery, m store.Mail, final *gate) tried {
	if s.ownAddress(ctx, d) {
		return tried{state: store.Failure, reason: "own address",
			result: result{reply: reply{enhanced: "5.4.6", text: "the recipient is an address of this desk: the mail would come back"}}}
	}
	e, err := envelopeOf(d)
	if err != nil {
		return tried{state: store.Failure, reason: "bad address",
			result: result{reply: reply{enhanced: "5.1.3", text: "the address can't be written"}, err: err}}
	}
	e.final = final
	raw, err := compose(ctx, m, s.file, !isASCII(e.to))
	if err != nil {
		return unsendable(err, store.Failure, reasonUncomposed)
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
// the store is ours and may pass, anything else is the mail's own.
func unsendable(err error, state store.DeliveryState, reason string) tried {
	_, unread := errors.AsType[*unreadError](err)
	switch {
	case store.CodeOf(err) == store.CodeUnavailable || errors.Is(err, context.Canceled):
		state, reason = store.Deferred, "store unavailable"
	case unread:
		state, reason = store.Deferred, "attachment not readable"
	}
	return tried{state: state, reason: reason, result: result{err: err}}
}

// unreadError is a file of a mail that the store does not give.
type unreadError struct{ err error }

func (e *unreadError) Error() string { return "an attachment can't be read: " + e.err.Error() }
func (e *unreadError) Unwrap() error { return e.err }

// file reads a file of a mail.
func (s *Service) file(ctx context.Context, hash string) ([]byte, error) {
	data, err := s.opt.DB.Blob(ctx, hash)
	if err != nil {
		return nil, &unreadError{err}
	}
	return data, nil
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
