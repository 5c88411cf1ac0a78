package threading

import (
	"context"
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
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
		if mine, err := f.tx.EndRecheck(ctx, r.ID); err != nil || !mine {
			return err // another node was faster
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
		if next := r.Attempt + 1; next < len(recheckDelays) {
			return w.tx.RetryRecheck(ctx, r, w.now.Add(recheckDelays[next]))
		}
		return w.tx.DeleteRecheck(ctx, r.ID)
	})
}

func (f *filing) recheckActivity(ctx context.Context, a store.Activity) error {
	who, err := f.who(ctx) // first of all: what the CRM said may change contacts and their tickets
	if err != nil {
		return err
	}
	t, err := f.s.followed(ctx, f.tx, a.Ticket)
	if err != nil {
		return err
	}
	if a, err = f.tx.Activity(ctx, a.ID); err != nil { // anew, under the ticket's lock
		return err
	}
	before, auth := a, f.Auth
	withheld := a.Withheld && !meanwhile(t, a) && len(a.Moved) == 0 && a.Hidden == nil // where an agent put it, he decides
	a.Auth, a.Withheld, a.Trace, a.ReplyDiffers = &auth, false, f.Trace, f.replyUnused()
	if done, err := f.recheckSender(ctx, who, &t, &a); done || err != nil {
		return err
	}
	strong := !f.senderFacts().weak()
	if !a.Chosen {
		a.External = strong && a.Type == store.TypeIncoming && a.Sender == store.SenderParticipant && t.Kind != store.KindInternal && t.SuggestedTicket == 0
	}
	stranger := f.inName() != nil && a.Sender == store.SenderStranger // an agent who does not see the ticket
	if channel := f.desk.Channel(t.ChannelID); channel != nil && withheld && strong && !stranger {
		a.Changes = append(a.Changes, receive(f.desk, channel, &t, f.now)...)
	}
	if err := f.tx.UpdateTicket(ctx, t); err != nil {
		return err
	}
	if err := f.tx.UpdateActivity(ctx, a); err != nil {
		return err
	}
	if err := f.tellAuthor(ctx, a); err != nil {
		return err
	}
	return f.tellRecheck(ctx, before, a)
}

// meanwhile tells whether an agent answered or closed the ticket since: what he
// did stands.
func meanwhile(t store.Ticket, a store.Activity) bool {
	return t.LastOutgoingAt.After(a.CreatedAt) || t.ClosedAt.After(a.CreatedAt)
}

// recheckSender gives the author the place in the ticket that he has, now that
// it is known who he is. It is done where nothing else is to be written.
func (f *filing) recheckSender(ctx context.Context, who person, t *store.Ticket, a *store.Activity) (done bool, err error) {
	switch {
	case a.Type != store.TypeIncoming || a.Hidden != nil || f.senderFacts().weak():
		return false, nil // what an agent hid is read, answered and sent on by nobody
	case f.behalf != nil || f.mailed:
		return false, f.refile(ctx, who, t, a)
	case a.Sender == store.SenderParticipant:
		return false, f.keepParticipants(ctx, *t, *a) // whom it addresses may write as well now
	case a.Sender != store.SenderStranger:
		return false, nil
	}
	d, err := f.decide(ctx, who)
	if err != nil || d.Outcome != OutcomeAppend {
		return false, err
	}
	if t.SuggestedTicket != 0 {
		return f.letIn(ctx, d, *t, *a)
	}
	if d.Ticket != t.Number {
		return false, nil
	}
	switch d.Sender {
	case store.SenderAgent:
		return true, f.recheckAgent(ctx, d, t, a)
	case store.SenderParticipant:
		a.Sender = store.SenderParticipant
		if err := f.keepParticipants(ctx, *t, *a); err != nil {
			return false, err
		}
		return false, f.keepRefs(ctx, *t, *a)
	}
	return false, nil
}

// letIn brings a participant's mail that waited into the ticket that was
// suggested, as if its verdict had been known at once. Where an agent has done
// something with it, it is his to decide.
func (f *filing) letIn(ctx context.Context, d Decision, held store.Ticket, a store.Activity) (bool, error) {
	suggested, err := f.s.followed(ctx, f.tx, held.SuggestedTicket)
	agent := d.Sender == store.SenderAgent
	if err != nil || !agent && d.Sender != store.SenderParticipant || d.Ticket != suggested.Number || a.Seq != 1 {
		return false, err
	}
	worked, err := f.tx.WorkedOn(ctx, held.Number)
	if err != nil || worked {
		return false, err
	}
	before := a
	if !agent {
		a.Sender = store.SenderParticipant
		if !a.Chosen {
			a.External = suggested.Kind != store.KindInternal
		}
	}
	if err := f.tx.UpdateActivity(ctx, a); err != nil {
		return false, err
	}
	changes, err := f.bring(ctx, held, suggested, RememberNothing, !agent && !meanwhile(suggested, a))
	if err != nil {
		return false, err
	}
	if suggested, err = f.tx.Ticket(ctx, suggested.Number); err != nil {
		return false, err
	}
	if _, err := f.merge(ctx, nil, held, suggested, changes); err != nil {
		return false, err
	}
	if a, err = f.tx.Activity(ctx, a.ID); err != nil {
		return false, err
	}
	if agent {
		if suggested, err = f.tx.Ticket(ctx, suggested.Number); err != nil {
			return false, err
		}
		return true, f.recheckAgent(ctx, d, &suggested, &a)
	}
	for _, step := range []func(context.Context, store.Ticket, store.Activity) error{f.keepParticipants, f.keepRefs} {
		if err := step(ctx, suggested, a); err != nil {
			return false, err
		}
	}
	return true, f.tellRecheck(ctx, before, a)
}

// recheckAgent does what an agent's mail asks for. Until now it lay in the
// ticket as a stranger's; where somebody answered meanwhile it is not sent.
func (f *filing) recheckAgent(ctx context.Context, d Decision, t *store.Ticket, a *store.Activity) error {
	before := *a
	if meanwhile(*t, *a) {
		d.Told = "" // answers nothing any more
		a.Comment = "It was not sent on: it could be verified only after the ticket was answered or closed."
		if err := f.tellAgent(ctx, f.agent().ID, t.Number, a.ID, "not_sent", a.Comment); err != nil {
			return err
		}
	}
	if err := f.fromAgent(ctx, d, t, a, true); err != nil {
		return err
	}
	return f.tellRecheck(ctx, before, *a)
}

// refile makes a mail the customer's that an agent or a form filed for him,
// where it opened a ticket that nobody has worked on. Anywhere else it stays as
// it was, and out of the portal's sight.
func (f *filing) refile(ctx context.Context, who person, t *store.Ticket, a *store.Activity) error {
	worked, err := f.tx.WorkedOn(ctx, t.Number)
	if err != nil {
		return err
	}
	if worked || a.Seq != 1 || a.Sender != store.SenderParticipant {
		a.Sender = store.SenderStranger
		return nil
	}
	if who.contact, err = f.ensureContact(ctx, who); err != nil {
		return err
	}
	if err := f.forgetMailer(ctx, *t, a.Author.Address); err != nil {
		return err
	}
	fresh := f.activity(Decision{Sender: store.SenderParticipant}, who, *t)
	a.Author, a.CreatedBy, a.Automatic = fresh.Author, fresh.CreatedBy, fresh.Automatic
	a.From, a.To, a.Cc, a.ReplyTo, a.ReplyDiffers = fresh.From, fresh.To, fresh.Cc, fresh.ReplyTo, fresh.ReplyDiffers
	a.Subject, a.Text, a.HTML, a.ReplyText = fresh.Subject, fresh.Text, fresh.HTML, fresh.ReplyText
	t.ContactID, t.CompanyID, t.CreatedBy = who.contact.ID, who.contact.CompanyID, a.CreatedBy
	if a.Subject != "" {
		t.Subject = a.Subject
	}
	for _, step := range []func(context.Context, store.Ticket, store.Activity) error{f.keepParticipants, f.index} {
		if err := step(ctx, *t, *a); err != nil {
			return err
		}
	}
	return nil
}

// forgetMailer has the next answer go to the customer alone.
func (f *filing) forgetMailer(ctx context.Context, t store.Ticket, address string) error {
	mailer, err := message.ParseAddress(address)
	if err != nil {
		return nil
	}
	err = f.tx.SetParticipantActive(ctx, t.Number, mailer.Key(), false)
	if store.IsNotFound(err) {
		return nil
	}
	return err
}

// tellRecheck tells in the journal what a later look-up changed.
func (f *filing) tellRecheck(ctx context.Context, before, a store.Activity) error {
	return f.tx.AddEvent(ctx, store.Event{
		Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: f.now,
		Data: store.EventData{Fields: changedFields(before, a), Verdict: f.Auth.Verdict},
	})
}

// changedFields names what a later look-up changed about an activity, beside
// its verdict.
func changedFields(before, after store.Activity) []string {
	fields := []string{"auth"}
	for _, c := range []struct {
		name    string
		changed bool
	}{
		{"type", before.Type != after.Type}, {"sender", before.Sender != after.Sender}, {"author", before.Author != after.Author},
		{"show_in_external_access", before.External != after.External}, {"changes", len(before.Changes) != len(after.Changes)},
	} {
		if c.changed {
			fields = append(fields, c.name)
		}
	}
	return fields
}

func (f *filing) recheckQuarantined(ctx context.Context, id string) error {
	q, err := f.tx.Quarantined(ctx, id)
	if store.IsNotFound(err) {
		return nil // an admin was faster
	}
	if err != nil {
		return err
	}
	free, err := f.freed(ctx, q.Reason)
	if err != nil || !free {
		return err
	}
	return f.release(ctx, id)
}

// freed tells whether the reason for which the mail was kept is none any more.
func (f *filing) freed(ctx context.Context, reason string) (bool, error) {
	switch {
	case len(f.accounts) == 0:
		return false, nil
	case reason == "dkim":
		return f.AlignedDKIM, nil
	case reason != "flood":
		return false, nil
	}
	who, err := f.who(ctx)
	counted := func(t target) bool { return f.counted(t, who) }
	return !slices.ContainsFunc(f.accounts, counted), err
}
