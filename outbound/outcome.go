package outbound

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"ticketgate/store"
)

// outcome turns what came of an attempt into what the ledger keeps.
func (s *Service) outcome(d store.Delivery, t tried) store.Outcome {
	now := s.opt.Now()
	o := store.Outcome{State: t.state, Reason: t.reason, Attempt: &store.Attempt{
		At: now, Host: t.host, Code: t.code, Enhanced: t.enhanced, Text: t.explain(),
	}}
	if t.sent {
		o.State, o.Reason = stateOf(t.class)
	}
	span := s.backoff(d.Attempts)
	switch t.class {
	case classRoute:
		// It goes as soon as the next hop is back; nothing is taken before.
		span = s.opt.RouteRetry
	case classConfig:
		span = min(span, 10*s.opt.RouteMax)
	}
	o.NextAttemptAt = now.Add(span)
	if o.State == store.Deferred || o.State == store.Unknown {
		s.giveUpOrGoOn(d, &o, now)
	}
	return o
}

// stateOf is the state that a class leads to, and its reason in a few words.
func stateOf(c class) (store.DeliveryState, string) {
	switch c {
	case classSent:
		return store.Sent, ""
	case classFailed:
		return store.Failure, "refused"
	case classUnknown:
		return store.Unknown, "lost after the message"
	case classUntrusted:
		return store.Held, "no trusted TLS"
	case classRoute:
		return store.Deferred, reasonUnreachable
	case classConfig:
		return store.Deferred, "log-in refused"
	}
	return store.Deferred, "refused for now"
}

const (
	reasonUnreachable = "smarthost unreachable"
	reasonExpired     = "expired"
	reasonLost        = "worker lost"
	reasonSlow        = "store slow"
	reasonUncomposed  = "can't be composed"
)

// giveUpOrGoOn ends a delivery that has been tried for MaxAge, and makes its
// last attempt fall at that time.
func (s *Service) giveUpOrGoOn(d store.Delivery, o *store.Outcome, now time.Time) {
	end := s.end(d)
	switch {
	case !now.Before(end):
		o.State, o.Reason = store.Failure, reasonExpired
	case o.NextAttemptAt.After(end):
		o.NextAttemptAt = end
	}
}

// end is when a delivery has been tried for long enough. The time begins anew
// when somebody asks for it to be tried.
func (s *Service) end(d store.Delivery) time.Time {
	begun := d.CreatedAt
	if d.RetriedAt.After(begun) {
		begun = d.RetriedAt
	}
	return begun.Add(s.opt.MaxAge)
}

// backoff is the time to the next attempt after so many before this one.
func (s *Service) backoff(attempts int) time.Duration {
	span := s.opt.RetryBase
	for range attempts {
		if span *= 2; span >= s.opt.RetryMax {
			span = s.opt.RetryMax
			break
		}
	}
	return jitter(span)
}

// writeLimit bounds one try to write an outcome.
const writeLimit = 10 * time.Second

// finish writes the outcome, and gives the entry to put again. It is patient
// while the store is away, until ctx ends: what is not written comes to be
// unknown, and is sent once more.
func (s *Service) finish(ctx context.Context, d store.Delivery, o store.Outcome) (again store.Due, ok bool) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		last := ctx.Err() != nil
		var written store.Delivery
		var ours bool
		err := s.unhooked(d.ID, func(hooks bool) (err error) {
			written, ours, err = s.write(ctx, d, o, hooks)
			return err
		})
		switch {
		case err == nil && !ours:
			s.opt.Log.Warn("an outcome came too late: the delivery is not ours any more", "delivery_id", d.ID, "state", o.State)
			return store.Due{}, false
		case err == nil:
			return written.Due(), written.State.Waiting()
		}
		s.opt.Log.Error("an outcome can't be written", "delivery_id", d.ID, "state", o.State, "error", err)
		if last || store.CodeOf(err) != store.CodeUnavailable {
			return store.Due{}, false
		}
		_ = waitFor(ctx, nil, pause) // when ctx ends, one more try is the last
	}
}

// unhooked runs write with the hooks. Where that fails though the store is
// there, it runs once more without them: what the ledger has to keep must not
// hang on who listens, or a mail that left is sent again and again.
func (s *Service) unhooked(id string, write func(hooks bool) error) error {
	err := write(true)
	if err == nil || store.CodeOf(err) == store.CodeUnavailable {
		return err
	}
	if again := write(false); again != nil {
		return again
	}
	s.alarm("what came of a delivery stands in the ledger alone: it can't be told", "delivery_id", id, "error", err)
	return nil
}

// write is one transaction: the ledger's row, the hooks, the account's time.
func (s *Service) write(ctx context.Context, d store.Delivery, o store.Outcome, hooks bool) (written store.Delivery, ours bool, err error) {
	// The message has left already, whatever became of ctx.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		written, ours, err = tx.FinishDelivery(ctx, d.ID, d.Fence, o)
		if err != nil || !ours || !hooks {
			return err
		}
		return s.tell(ctx, tx, &written, o)
	})
	return written, ours, err
}

// tell calls the hooks for a row that was written.
func (s *Service) tell(ctx context.Context, tx *store.Tx, d *store.Delivery, o store.Outcome) error {
	o.State = d.State // a bounce may have outweighed it
	if o.State == store.Sent {
		if err := tx.TouchAccount(ctx, d.AccountID, time.Time{}, s.opt.Now()); err != nil && !store.IsNotFound(err) {
			return err
		}
	}
	if s.opt.Outcome != nil {
		if err := s.opt.Outcome(ctx, tx, *d, o); err != nil {
			return err
		}
	}
	return s.tellLate(ctx, tx, d, true)
}

// tellLate warns once about a delivery that has waited for long.
func (s *Service) tellLate(ctx context.Context, tx *store.Tx, d *store.Delivery, hooks bool) error {
	if d.Warned || !d.State.Waiting() || s.opt.Now().Sub(d.CreatedAt) < s.opt.LateAfter {
		return nil
	}
	if err := tx.WarnDelivery(ctx, d.ID); err != nil {
		return err
	}
	d.Warned = true
	if s.opt.Late == nil || !hooks {
		return nil
	}
	return s.opt.Late(ctx, tx, *d)
}

// logAttempt is the line about an attempt.
func (s *Service) logAttempt(d store.Delivery, m store.Mail, o store.Outcome, t tried, took time.Duration) {
	codeClass := "none"
	if t.code > 0 {
		codeClass = strconv.Itoa(t.code/100) + "xx"
	}
	s.metrics.attempts.WithLabelValues(codeClass).Inc()
	level := slog.LevelInfo
	if o.State != store.Sent {
		level = slog.LevelWarn
	}
	s.opt.Log.Log(context.Background(), level, "delivery",
		"delivery_id", d.ID, "message_id", m.MessageID, "mail", m.ID, "ticket", d.Ticket, "kind", d.Kind,
		"to", d.Recipient, "host", t.host, "code", t.code, "enhanced", t.enhanced, "text", t.explain(),
		"state", o.State, "reason", o.Reason, "attempt", d.Attempts+1, "took", took.Round(time.Millisecond))
}
