package threading

import (
	"context"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// NewActivity is an entry that an agent adds to a ticket.
type NewActivity struct {
	Type          store.ActivityType // incoming, outgoing or note
	Medium        store.Medium
	AccountID     string // that it goes out from
	Answers       string // the activity that it answers
	Subject       string
	Text, HTML    string
	To, Cc, Bcc   []string // a nil To: whom the answer is for by itself
	Attachments   []File
	External      *bool
	Comment       string
	StatusID      *string // done in the same step
	OwnerID       *string
	ResponsibleID *string
	ChannelID     *string
	Priority      *store.Priority
	MarkerID      *string
	Minutes       int       // worked on it; 0: none are put down
	SendAt        time.Time // of an outgoing email: when it leaves; zero: at once
	DraftID       string    // the agent's draft that it is made of, and whose id it gets
}

// AddActivity adds an entry to a ticket that the agent sees. An outgoing one
// by e-mail is sent: its ledger rows are written in the same transaction.
// Errors: not_found, invalid with the field (no_address), conflict
// (no_account, merged), too_large.
func (s *Service) AddActivity(ctx context.Context, agent *store.Agent, number int64, n NewActivity) (store.Activity, error) {
	if err := n.check(); err != nil {
		return store.Activity{}, err
	}
	if err := s.checkSendAt(n.SendAt, n.Type == store.TypeOutgoing && n.Medium == store.MediumEmail); err != nil {
		return store.Activity{}, err
	}
	body, err := s.prepare(ctx, agent, n.Text, n.HTML, n.Attachments)
	if err != nil {
		return store.Activity{}, err
	}
	if body.empty() {
		return store.Activity{}, store.Invalid("text", "there is nothing in it")
	}
	var made store.Activity
	err = s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		if t.MergedInto != 0 {
			return s.wentInto(t)
		}
		if err := w.spend(ctx, agent, n.DraftID, body); err != nil {
			return err
		}
		e := &entry{work: w, agent: agent, n: n, body: body, t: &t}
		made = e.begin()
		return e.file(ctx, &made)
	})
	return made, err
}

// DefaultMedium gives the medium of what an agent writes without naming one; ""
// for a type that nobody writes.
func DefaultMedium(t store.ActivityType) store.Medium {
	switch t {
	case store.TypeIncoming:
		return store.MediumPhone
	case store.TypeOutgoing:
		return store.MediumEmail
	case store.TypeNote:
		return store.MediumInternal
	}
	return ""
}

// check reads what doesn't need the ticket.
func (n *NewActivity) check() error {
	subject, err := line("subject", n.Subject)
	if err != nil {
		return err
	}
	n.Subject = subject
	medium := DefaultMedium(n.Type)
	if medium == "" {
		return store.Invalid("type", "must be incoming, outgoing or note")
	}
	switch n.Medium {
	case "":
		n.Medium = medium
	case store.MediumEmail, store.MediumPhone, store.MediumLetter, store.MediumWeb, store.MediumPortal, store.MediumInternal:
	default:
		return store.Invalid("medium", "must be email, phone, letter, web, portal or internal")
	}
	return nil
}

// latest is how far ahead an answer may be written.
const latest = 366 * 24 * time.Hour

// checkSendAt refuses a time at which no mail can leave.
func (s *Service) checkSendAt(at time.Time, mail bool) error {
	now := s.now()
	switch {
	case at.IsZero():
		return nil
	case !mail:
		return store.Invalid("send_at", "only an outgoing email is sent")
	case !at.After(now):
		return store.Invalid("send_at", "has passed")
	case at.Sub(now) > latest:
		return store.Invalid("send_at", "is more than a year ahead")
	}
	return nil
}

// entry is one run of a transaction that adds an activity.
type entry struct {
	*work
	agent *store.Agent
	n     NewActivity
	body  content
	t     *store.Ticket
	kept  bool // the activity and its files are stored already
}

// begin makes the activity of what the agent said.
func (e *entry) begin() store.Activity {
	a := store.Activity{
		ID: store.NewID(), Ticket: e.t.Number, Type: e.n.Type, Medium: e.n.Medium, CreatedBy: e.agent.ID,
		Subject: e.n.Subject, Text: e.body.text, HTML: e.body.html, ReplyText: e.body.text, CreatedAt: e.now,
		Author: store.Author{Kind: store.AuthorAgent, ID: e.agent.ID, Name: e.agent.Name},
	}
	if e.n.DraftID != "" {
		a.ID = e.n.DraftID
	}
	a.Comment, a.SendAt = message.Clean(e.n.Comment), e.n.SendAt
	return a
}

// file writes the activity, and what goes out by it. What an agent asked for
// wrongly is found before anything is written.
func (e *entry) file(ctx context.Context, a *store.Activity) error {
	if e.n.Medium == store.MediumEmail && e.t.Kind == store.KindInternal {
		return store.Invalid("medium", "an internal ticket has no mail")
	}
	e.external(a)
	var out *answer
	if e.n.Type == store.TypeOutgoing && e.n.Medium == store.MediumEmail {
		var err error
		if out, err = e.address(ctx, a); err != nil {
			return err
		}
	} else if err := e.recorded(ctx, a); err != nil {
		return err
	}
	before := *e.t
	if err := e.alongside(a); err != nil {
		return err
	}
	if err := e.write(ctx, a); err != nil {
		return err
	}
	if out != nil {
		if err := e.dispatch(ctx, *e.t, a, out.account, e.body, out.answered, true); err != nil {
			return err
		}
	}
	if err := e.workedOn(ctx); err != nil {
		return err
	}
	told := turned(before, *e.t, e.agent)
	if a.Type == store.TypeIncoming {
		told.kind = eventIncoming
	}
	if err := e.mention(ctx, *e.t, *a, &told); err != nil {
		return err
	}
	if err := e.loseWatchers(ctx, *e.t, &told); err != nil {
		return err
	}
	return e.notify(ctx, *e.t, *a, told)
}

// workedOn puts down the minutes that the agent gave with it.
func (e *entry) workedOn(ctx context.Context) error {
	if e.n.Minutes == 0 {
		return nil
	}
	v := store.Worked{
		ID: store.NewID(), Ticket: e.t.Number, AgentID: e.agent.ID, CreatedBy: e.agent.ID, CreatedAt: e.now,
		Day: e.now.In(e.s.zone(e.agent)).Format(time.DateOnly),
	}
	if err := e.enter(&v, *e.t, Entry{Minutes: &e.n.Minutes}); err != nil {
		return err
	}
	return e.tx.PutWorked(ctx, v)
}

// write stores the activity and its files.
func (e *entry) write(ctx context.Context, a *store.Activity) error {
	if e.kept {
		if err := e.tx.UpdateActivity(ctx, *a); err != nil {
			return err
		}
		return e.tx.UpdateTicket(ctx, *e.t)
	}
	if err := e.history(ctx, e.t, a); err != nil {
		return err
	}
	return e.keep(ctx, *e.t, *a, e.body)
}

// external says whether the customer may see the activity in the portal.
func (e *entry) external(a *store.Activity) {
	a.External = a.Type != store.TypeNote
	if e.n.External != nil {
		a.External = *e.n.External
	}
	if e.t.Kind == store.KindInternal {
		a.External = false
	}
}

// recorded fills an entry that goes nowhere: a call, a letter, a note.
func (e *entry) recorded(ctx context.Context, a *store.Activity) error {
	for field, typed := range map[string][]string{"to": e.n.To, "cc": e.n.Cc, "bcc": e.n.Bcc} {
		if len(typed) > 0 {
			return store.Invalid(field, "only an outgoing email has recipients")
		}
	}
	switch a.Type {
	case store.TypeIncoming:
		a.Sender = store.SenderParticipant
		e.t.LastIncomingAt = e.now
		if contact, err := e.tx.Contact(ctx, e.t.ContactID); err == nil {
			a.Author = store.Author{Kind: store.AuthorContact, ID: contact.ID, Name: contact.Name}
		} else if !store.IsNotFound(err) {
			return err
		}
	case store.TypeOutgoing:
		e.t.LastOutgoingAt = e.now
	}
	return nil
}

// alongside does what the agent asked for in the same step, and what the
// channel says about the status.
func (e *entry) alongside(a *store.Activity) error {
	p := TicketPatch{StatusID: e.n.StatusID, OwnerID: e.n.OwnerID, ResponsibleID: e.n.ResponsibleID, ChannelID: e.n.ChannelID, Priority: e.n.Priority, MarkerID: e.n.MarkerID}
	changes, err := e.apply(e.t, p)
	if err != nil {
		return err
	}
	a.Changes = append(changes, e.turn(a.Type)...)
	return nil
}

// turn gives the ticket the status that the channel names for what the agent wrote,
// unless he named one. That is his change as well: who read the ticket before has
// read another one.
func (e *entry) turn(kind store.ActivityType) (changes []store.Change) {
	channel := e.desk.Channel(e.t.ChannelID)
	if e.n.StatusID != nil || channel == nil {
		return nil
	}
	switch kind {
	case store.TypeOutgoing:
		changes = setStatus(e.desk, e.t, channel.OnOutgoing, e.now)
	case store.TypeIncoming:
		changes = receive(e.desk, channel, e.t, e.now)
	}
	if len(changes) > 0 {
		e.t.Version++
	}
	return changes
}
