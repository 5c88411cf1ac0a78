package threading

import (
	"context"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// maxNamed bounds how many ids of a mail's References are remembered.
const maxNamed = 40

// thread decides which ticket the mail belongs to and writes it there.
func (f *filing) thread(ctx context.Context, earlier []store.DeliveryKey) error {
	who, err := f.who(ctx)
	if err != nil {
		return err
	}
	d, err := f.decide(ctx, who)
	if err != nil {
		return err
	}
	if d.Outcome == OutcomeAppend {
		return f.appendOnce(ctx, d, who, earlier)
	}
	if err := f.stemFlood(ctx, d, who); err != nil {
		return err
	}
	return f.openTickets(ctx, d, who, earlier)
}

// decide gathers the facts and decides on them. What an agent files for a
// customer is always a matter of its own.
func (f *filing) decide(ctx context.Context, who person) (Decision, error) {
	if f.behalf != nil {
		return Decision{Outcome: OutcomeNew, Sender: store.SenderParticipant}, nil
	}
	if f.handed != nil && f.handed.ticket != 0 {
		return f.onWord(ctx, who)
	}
	facts, err := f.facts(ctx, who)
	if err != nil {
		return Decision{}, err
	}
	return f.harmless(Decide(facts)), nil
}

// appendOnce adds the mail to its ticket, once for all of our accounts.
func (f *filing) appendOnce(ctx context.Context, d Decision, who person, earlier []store.DeliveryKey) error {
	for _, k := range earlier {
		if k.ActivityID != "" {
			return f.repeat(ctx, k)
		}
	}
	t, err := f.tx.Ticket(ctx, d.Ticket)
	if err != nil {
		return err
	}
	a := f.activity(d, who, t)
	before := t
	by, err := f.judgeAppended(ctx, d, who, &t, &a)
	if err != nil {
		return err
	}
	if by != nil && by.quarantine {
		return f.quarantineBy(ctx, f.accounts, by)
	}
	mine, err := f.claimAll(ctx, f.accounts, store.DeliveryKey{ActivityID: a.ID, Ticket: d.Ticket})
	if err != nil || len(mine) == 0 {
		return err
	}
	for _, t := range mine {
		f.settle(t, Result{Outcome: OutcomeAppend, Ticket: d.Ticket, ActivityID: a.ID, MatchedBy: d.By})
	}
	a.AccountID, a.EnvelopeTo = mine[0].account.ID, f.envelopeTo(mine)
	if d.Sender == store.SenderAgent {
		return f.fromAgent(ctx, d, &t, &a, false)
	}
	t.LastIncomingAt = f.now
	if canSend(mine[0].account) && d.Sender == store.SenderParticipant && !d.Inert {
		t.AccountID = mine[0].account.ID
	}
	e := turned(before, t, &store.Agent{})
	e.kind, e.reopened = eventIncoming, d.Reopen
	if err := f.writeRuled(ctx, by, &t, &a, e); err != nil {
		return err
	}
	return f.joinThreads(ctx, d)
}

// repeat gives the remaining accounts the activity that another account of
// ours already has of this very mail.
func (f *filing) repeat(ctx context.Context, k store.DeliveryKey) error {
	for _, t := range f.accounts {
		ok, err := f.claim(ctx, t, store.DeliveryKey{ActivityID: k.ActivityID, Ticket: k.Ticket})
		if err != nil {
			return err
		}
		if ok {
			f.settle(t, Result{Outcome: OutcomeDuplicate, Ticket: k.Ticket, ActivityID: k.ActivityID})
		}
	}
	return nil
}

func (f *filing) claimAll(ctx context.Context, targets []target, k store.DeliveryKey) ([]target, error) {
	var mine []target
	for _, t := range targets {
		ok, err := f.claim(ctx, t, k)
		if err != nil {
			return nil, err
		}
		if ok {
			mine = append(mine, t)
		}
	}
	return mine, nil
}

// incomingStatus applies what the channel says about the status when mail
// comes in, and gives the changes. A machine and a sender without rights
// change nothing; New stays New.
func (f *filing) incomingStatus(t *store.Ticket, d Decision, a *store.Activity) []store.Change {
	channel := f.desk.Channel(t.ChannelID)
	if machine(f.Message) || d.Sender == store.SenderAgent || channel == nil {
		return nil
	}
	if d.Inert {
		a.Withheld = f.Auth.Verdict == store.AuthError
		return nil
	}
	return receive(f.desk, channel, t, f.now)
}

// machine tells whether a mail is a machine's own word. A person who writes
// through a mailing list is none: what came by a list is only never acknowledged.
func machine(m *message.Message) bool { return m.Automatic.Is && m.Automatic.Kind != "list" }

// receive gives a ticket the status that an incoming mail brings.
func receive(desk *store.Desk, channel *store.Channel, t *store.Ticket, now time.Time) []store.Change {
	next := channel.OnIncoming
	closed := !t.ClosedAt.IsZero()
	switch {
	case closed && (next == "" || closedStatus(desk, next)):
		next = openStatus(desk, channel)
	case !closed && t.StatusID == channel.DefaultStatusID:
		return nil
	}
	return setStatus(desk, t, next, now)
}

func closedStatus(desk *store.Desk, id string) bool {
	status := desk.Status(id)
	return status != nil && status.Closed
}

// openStatus gives the first status after New that is the desk's turn: the one
// that a reopened ticket gets where the channel names none.
func openStatus(desk *store.Desk, channel *store.Channel) string {
	for _, status := range desk.Statuses {
		ours := desk.Responsibility(channel.ID, status.ID) == store.ResponsibleUs
		if !status.Closed && ours && channel.Allows(status.ID) && status.ID != channel.DefaultStatusID {
			return status.ID
		}
	}
	return channel.DefaultStatusID
}

// openTickets opens a ticket for each account, linked to each other.
func (f *filing) openTickets(ctx context.Context, d Decision, who person, earlier []store.DeliveryKey) error {
	rulings, err := f.judgeNew(ctx, d, who)
	if err != nil || len(f.accounts) == 0 {
		return err
	}
	contact, err := f.ensureContact(ctx, who)
	if err != nil {
		return err
	}
	who.contact = contact
	linked := tickets(earlier)
	for _, t := range f.accounts {
		if t.channel == nil { // a system account only sends
			if err := f.quarantine(ctx, []target{t}, "system_account"); err != nil {
				return err
			}
			continue
		}
		number, err := f.openTicket(ctx, t, d, who, linked, rulings[t.account.ID], len(earlier) > 0)
		if err != nil {
			return err
		}
		if number != 0 {
			linked = append(linked, number)
		}
	}
	return nil
}

func tickets(keys []store.DeliveryKey) []int64 {
	var list []int64
	for _, k := range keys {
		if k.Ticket != 0 {
			list = append(list, k.Ticket)
		}
	}
	return list
}

// openTicket opens one ticket; it gives 0 where another node was first.
func (f *filing) openTicket(ctx context.Context, to target, d Decision, who person, linked []int64, by *ruling, again bool) (int64, error) {
	number, err := f.tx.NextNumber(ctx)
	if err != nil {
		return 0, err
	}
	t := f.newTicket(number, to, d, who)
	by.onto(&t)
	a := f.activity(d, who, t)
	ok, err := f.claim(ctx, to, store.DeliveryKey{ActivityID: a.ID, Ticket: number})
	if err != nil || !ok {
		return 0, err
	}
	f.settle(to, Result{Outcome: d.Outcome, Ticket: number, ActivityID: a.ID, MatchedBy: d.By})
	a.AccountID, a.EnvelopeTo = to.account.ID, f.envelopeTo([]target{to})
	a.External = a.External && d.Outcome != OutcomeHold
	if err := f.tx.InsertTicket(ctx, t); err != nil {
		return 0, err
	}
	if err := f.noteOpening(ctx, to, who, number); err != nil {
		return 0, err
	}
	if err := f.link(ctx, number, d, linked); err != nil {
		return 0, err
	}
	e := event{kind: eventNew, held: d.Suggested, quiet: again}
	return number, f.writeRuled(ctx, by, &t, &a, e)
}

func (f *filing) newTicket(number int64, to target, d Decision, who person) store.Ticket {
	subject := f.Message.Subject
	if subject == "" {
		subject = "(no subject)"
	}
	t := store.Ticket{
		Number: number, ID: store.NewID(), Kind: store.KindEmail, Subject: subject,
		ChannelID: to.channel.ID, StatusID: to.channel.DefaultStatusID, Priority: store.PriorityNormal,
		ContactID: who.contact.ID, CompanyID: who.contact.CompanyID,
		OwnerID: f.usable(to.channel.DefaultOwnerID, to.channel.ID), ResponsibleID: f.usable(to.channel.DefaultResponsibleID, to.channel.ID),
		AccountID: to.account.ID, SuggestedTicket: d.Suggested, Version: 1,
		CreatedAt: f.now, UpdatedAt: f.now, StatusAt: f.now, LastIncomingAt: f.now,
	}
	if f.behalf != nil {
		t.CreatedBy = f.behalf.ID
	}
	if f.handed != nil {
		t.CreatedBy = f.handed.agent.ID
	}
	if closedStatus(f.desk, t.StatusID) {
		t.ClosedAt = f.now
	}
	return t
}

func (f *filing) link(ctx context.Context, number int64, d Decision, linked []int64) error {
	for _, other := range linked {
		if err := f.tx.AddLink(ctx, number, other, store.LinkSameMail, store.LinkSameMail); err != nil {
			return err
		}
	}
	if d.Follows != 0 {
		if err := f.tx.AddLink(ctx, number, d.Follows, store.LinkFollows, store.LinkFollowed); err != nil {
			return err
		}
	}
	if d.Suggested != 0 {
		return f.tx.AddLink(ctx, number, d.Suggested, store.LinkSuggested, store.LinkWaiting)
	}
	return nil
}

// activity makes the entry of the mail in its ticket's history.
func (f *filing) activity(d Decision, who person, t store.Ticket) store.Activity {
	m := f.Message
	auth := f.Auth
	a := store.Activity{
		ID: store.NewID(), Ticket: t.Number, Type: store.TypeIncoming, Medium: store.MediumEmail,
		Author: f.authorOf(who), Subject: m.Subject, Text: m.Text, HTML: m.HTML, ReplyText: m.ReplyText,
		MessageID: m.MessageID, RawHash: f.raw.Hash, Sender: d.Sender, Automatic: m.Automatic.Kind, CreatedAt: f.now,
		External: d.Sender == store.SenderParticipant && !f.senderFacts().weak(),
		ActivityDetail: store.ActivityDetail{
			From: addresses(m.From), To: addresses(m.To), Cc: addresses(m.Cc), ReplyTo: addresses(m.ReplyTo),
			ReplyDiffers: f.replyUnused(), NameMarked: f.author.NameHoldsAddress,
			MixedScript:  f.author.MixedScript,
			EnvelopeFrom: message.Clean(f.From), DeliveryID: f.DeliveryID, QueueID: message.Clean(f.QueueID),
			InReplyTo: m.InReplyTo, References: m.References, Trace: f.Trace, Auth: &auth,
			Match:   &store.Match{By: string(d.By), Score: d.Score, Signals: some(d.Signals)},
			Defects: m.Defects,
		},
	}
	if f.behalf != nil {
		a.CreatedBy = f.behalf.ID
	}
	if f.handed != nil {
		a.CreatedBy, a.Source = f.handed.agent.ID, sourceAgent
	}
	return a
}

func (f *filing) authorOf(who person) store.Author {
	author := store.Author{Kind: store.AuthorUnknown, Name: f.author.Name, Address: f.author.String()}
	if agent := f.agent(); agent != nil && f.behalf == nil {
		author.Kind, author.ID = store.AuthorAgent, agent.ID
	} else if who.contact.ID != "" {
		author.Kind, author.ID = store.AuthorContact, who.contact.ID
	}
	return author
}

// replyUnused tells whether there is a Reply-To that an answer does not go to:
// one that leads elsewhere, that no signature covers, or of a mail that may be
// anybody's.
func (f *filing) replyUnused() bool {
	return len(f.Message.ReplyTo) > 0 && (replyDiffers(f.Message) || !f.trusts("reply-to") || f.senderFacts().weak())
}

// replyDiffers tells whether Reply-To leads to another domain than From.
func replyDiffers(m *message.Message) bool {
	if len(m.ReplyTo) == 0 || len(m.From) == 0 {
		return false
	}
	from := message.DomainKey(m.From[0].Domain)
	for _, a := range m.ReplyTo {
		if message.DomainKey(a.Domain) != from {
			return true
		}
	}
	return false
}

// write stores an activity with everything that hangs on it.
func (f *filing) write(ctx context.Context, t *store.Ticket, a *store.Activity, e event) error {
	if err := f.tx.InsertActivity(ctx, a); err != nil {
		return err
	}
	t.Activities, t.UpdatedAt = a.Seq, f.now
	f.occurred(*a)
	if e.kind != eventNew { // a new ticket was written as it is
		if err := f.tx.UpdateTicket(ctx, *t); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context, store.Ticket, store.Activity) error{
		f.keepFiles, f.keepRefs, f.keepParticipants, f.index,
	} {
		if err := step(ctx, *t, *a); err != nil {
			return err
		}
	}
	if err := f.recheckLater(ctx, a.ID); err != nil {
		return err
	}
	if err := f.tellAuthor(ctx, *a); err != nil {
		return err
	}
	return f.tell(ctx, *t, *a, e)
}

func (f *filing) keepFiles(ctx context.Context, t store.Ticket, a store.Activity) error {
	if err := f.tx.AddBlob(ctx, f.raw); err != nil || len(f.parts) == 0 {
		return err
	}
	list := make([]store.Attachment, 0, len(f.parts))
	for i, part := range f.Message.Attachments {
		if err := f.tx.AddBlob(ctx, f.parts[i]); err != nil {
			return err
		}
		list = append(list, store.Attachment{
			ID: store.NewID(), ActivityID: a.ID, Ticket: t.Number, Position: i, Name: part.Name, Type: part.Type,
			Size: int64(part.Size), Inline: part.Inline, ContentID: part.ContentID, Hash: f.parts[i].Hash,
		})
	}
	return f.tx.AddAttachments(ctx, list)
}

// keepRefs remembers the mail's own id, and those that it names, so that a
// thread which arrives out of order comes together.
func (f *filing) keepRefs(ctx context.Context, t store.Ticket, a store.Activity) error {
	var refs []store.MessageRef
	if a.MessageID != "" {
		refs = append(refs, store.MessageRef{MessageID: a.MessageID, ActivityID: a.ID, Ticket: t.Number, Kind: store.RefTheirs})
	}
	if a.Sender == store.SenderParticipant {
		for _, id := range f.unseen(t.Number) {
			refs = append(refs, store.MessageRef{MessageID: id, ActivityID: a.ID, Ticket: t.Number, Kind: store.RefNamed})
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return f.tx.AddMessageRefs(ctx, refs)
}

// unseen gives the ids that the mail names and of which nothing is known that
// a later mail could not find without it.
func (f *filing) unseen(ticket int64) []string {
	var list []string
	for _, id := range f.threadIDs() {
		if len(list) == maxNamed {
			break
		}
		_, ours := f.s.tokens.inMessageID(id)
		known := slices.ContainsFunc(f.refs, func(r store.MessageRef) bool {
			return r.MessageID == id && (r.Kind != store.RefNamed || r.Ticket == ticket)
		})
		if !ours && !known && id != f.Message.MessageID {
			list = append(list, id)
		}
	}
	return list
}

// keepParticipants adds the addresses of the mail to the conversation. None of
// them becomes a recipient by that, but for the one who opened the ticket.
func (f *filing) keepParticipants(ctx context.Context, t store.Ticket, a store.Activity) error {
	if a.Sender == store.SenderStranger && t.SuggestedTicket == 0 || a.Type == store.TypeNote {
		return nil // an agent's note makes nobody a customer
	}
	trusted := !f.senderFacts().weak() && f.sole
	var list []store.Participant
	add := func(b message.Address, active, trusted bool) {
		if b.Valid() && f.desk.AccountByKey(b.Key()) == nil && len(list) < 100 {
			base, _ := splitExtension(b)
			if f.desk.AccountByKey(base.Key()) == nil {
				list = append(list, store.Participant{Ticket: t.Number, Key: b.Key(), Address: b.String(), Name: b.Name, Active: active, Trusted: trusted})
			}
		}
	}
	if f.sole {
		add(f.author, a.Seq == 1 && f.desk.AgentByKey(f.author.Key()) == nil, trusted)
	}
	for _, b := range f.Message.To {
		add(b, false, trusted && f.trusts("to"))
	}
	for _, b := range f.Message.Cc {
		add(b, false, trusted && f.trusts("cc"))
	}
	if len(list) == 0 {
		return nil
	}
	return f.tx.AddParticipants(ctx, list)
}

func (f *filing) index(ctx context.Context, t store.Ticket, a store.Activity) error {
	var words []string
	for _, list := range [][]store.Address{a.From, a.To, a.Cc} {
		for _, b := range list {
			words = append(words, b.Name, b.Address)
		}
	}
	names := make([]string, 0, len(f.Message.Attachments))
	for _, part := range f.Message.Attachments {
		names = append(names, part.Name)
	}
	words = append(words, fieldWords(a.Changes)...)
	return f.tx.Index(ctx, store.SearchEntry{
		ActivityID: a.ID, Subject: a.Subject, Text: a.Text,
		Addresses: words, Names: names, Reference: f.s.Reference(t.Number),
	})
}
