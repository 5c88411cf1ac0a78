package threading

import (
	"context"

	"ticketgate/store"
)

// Rechecked is told of a mail whose verdict was error what a later look-up
// said: in holds the stored mail with its new Auth. The verdict is kept on the
// activity, an event tells of it, and what was withheld is done; a mail that
// waited in the quarantine for an aligned pass is released by one. While DNS
// still fails the next look-up is put down, until there have been five.
func (s *Service) Rechecked(ctx context.Context, r store.Recheck, in Incoming) error {
	if in.Auth.Verdict == store.AuthError {
		return s.recheckAgain(ctx, r)
	}
	m, err := s.stage(ctx, in)
	if err != nil {
		return err
	}
	_, err = s.file(ctx, m, func(f *filing, ctx context.Context) error {
		if err := f.tx.DeleteRecheck(ctx, r.ID); err != nil {
			return err
		}
		a, err := f.tx.Activity(ctx, r.ID)
		if store.IsNotFound(err) {
			return f.recheckQuarantined(ctx, r.ID)
		}
		if err != nil {
			return err
		}
		return f.recheckActivity(ctx, a)
	})
	return err
}

func (s *Service) recheckAgain(ctx context.Context, r store.Recheck) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		r.Attempt++
		if r.Attempt >= len(recheckDelays) {
			return w.tx.DeleteRecheck(ctx, r.ID)
		}
		r.DueAt = w.now.Add(recheckDelays[r.Attempt])
		return w.tx.PutRecheck(ctx, r)
	})
}

func (f *filing) recheckActivity(ctx context.Context, a store.Activity) error {
	t, err := f.s.followed(ctx, f.tx, a.Ticket)
	if err != nil {
		return err
	}
	if a, err = f.tx.Activity(ctx, a.ID); err != nil { // anew, under the ticket's lock
		return err
	}
	if done, err := f.recheckAgent(ctx, t, a); done || err != nil {
		return err
	}
	if err := f.tellAuthor(ctx, a); err != nil {
		return err
	}
	strong := !f.senderFacts().weak()
	// what an agent did meanwhile stands
	withheld := a.Withheld && !t.LastOutgoingAt.After(a.CreatedAt) && !t.ClosedAt.After(a.CreatedAt)
	auth, before := f.Auth, a
	a.Auth, a.Withheld, a.Trace = &auth, false, f.Trace
	a.External = strong && a.Sender == store.SenderParticipant && t.Kind != store.KindInternal
	if withheld && strong {
		if channel := f.desk.Channel(t.ChannelID); channel != nil {
			a.Changes = append(a.Changes, receive(f.desk, channel, &t, f.now)...)
		}
		if err := f.tx.UpdateTicket(ctx, t); err != nil {
			return err
		}
	}
	if err := f.tx.UpdateActivity(ctx, a); err != nil {
		return err
	}
	return f.tx.AddEvent(ctx, store.Event{
		Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: f.now,
		Data: store.EventData{Fields: changedFields(before, a), Verdict: auth.Verdict},
	})
}

// changedFields names what a later look-up changed about an activity, beside
// its verdict.
func changedFields(before, after store.Activity) []string {
	fields := []string{"auth"}
	if before.External != after.External {
		fields = append(fields, "show_in_external_access")
	}
	if len(before.Changes) != len(after.Changes) {
		fields = append(fields, "changes")
	}
	return fields
}

// recheckAgent does what an agent's mail asks for, once it is known to be his.
// Until then it lay in the ticket as a stranger's.
func (f *filing) recheckAgent(ctx context.Context, t store.Ticket, a store.Activity) (bool, error) {
	if f.agent() == nil || a.Type != store.TypeIncoming || a.Sender != store.SenderStranger {
		return false, nil
	}
	who, err := f.who(ctx)
	if err != nil {
		return false, err
	}
	d, err := f.decide(ctx, who)
	if err != nil || d.Sender != store.SenderAgent || d.Outcome != OutcomeAppend || d.Ticket != t.Number {
		return false, err
	}
	auth := f.Auth
	a.Auth, a.Withheld, a.Trace = &auth, false, f.Trace
	if err := f.fromAgent(ctx, d, &t, &a, true); err != nil {
		return false, err
	}
	return true, f.tx.AddEvent(ctx, store.Event{
		Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: f.now,
		Data: store.EventData{Fields: []string{"auth", "type", "sender"}, Verdict: auth.Verdict},
	})
}

func (f *filing) recheckQuarantined(ctx context.Context, id string) error {
	q, err := f.tx.Quarantined(ctx, id)
	if store.IsNotFound(err) {
		return nil // an admin was faster
	}
	if err != nil {
		return err
	}
	if q.Reason == "dkim" && f.AlignedDKIM && len(f.accounts) > 0 {
		return f.release(ctx, id)
	}
	return nil
}
