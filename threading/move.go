package threading

import (
	"context"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// MoveActivity puts what was said in one ticket into another, 0: into a new
// one of the same channel, and remembers it: mail that answers it follows, be
// its tag or token that of the ticket where it lay. To move it back is to undo
// that. A ticket that is left empty leads to the other one from then on. It
// gives the activity where it lies now. Errors: not_found, invalid (to),
// conflict for a change of status, and between an internal ticket and another.
func (s *Service) MoveActivity(ctx context.Context, agent *store.Agent, number int64, id string, to int64) (store.Activity, error) {
	m, err := s.move(ctx, agent, number, id, to, Split{})
	return m.a, err
}

// Split says what the ticket is like that a part of another one becomes.
type Split struct {
	Subject   string // "": the activity's
	ChannelID string // "": that of the ticket where it lay; the agent need not see it
}

// SplitActivity makes a new ticket of what was said in one, which it leaves; the
// two are linked. Otherwise it does as MoveActivity. Errors: not_found, invalid
// with the field, conflict for a change of status.
func (s *Service) SplitActivity(ctx context.Context, agent *store.Agent, number int64, id string, p Split) (store.Ticket, error) {
	subject, err := line("subject", p.Subject)
	if err != nil {
		return store.Ticket{}, err
	}
	p.Subject = subject
	m, err := s.move(ctx, agent, number, id, 0, p)
	return m.to, err
}

// move runs a move as one transaction, to a ticket or, where that is 0, to a new
// one.
func (s *Service) move(ctx context.Context, agent *store.Agent, number int64, id string, to int64, p Split) (move, error) {
	var done move
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		if err := w.hold(ctx, number, to); err != nil { // 0, a new one, is not there
			return err
		}
		from, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		a, err := w.tx.Activity(ctx, id)
		switch {
		case err != nil:
			return err
		case a.Ticket != from.Number:
			return store.Errorf(store.CodeNotFound, "there is no such activity in the ticket")
		case a.Type == store.TypeStatusChange:
			return store.Errorf(store.CodeConflict, "a change of a ticket stays in its history")
		}
		m := &move{work: w, agent: agent, from: from, a: a, split: p}
		err = m.run(ctx, to)
		done = *m
		return err
	})
	return done, err
}

// move is one run of a transaction that moves an activity.
type move struct {
	*work
	agent *store.Agent
	from  store.Ticket
	to    store.Ticket
	a     store.Activity
	split Split // of a move into a new ticket
}

func (m *move) run(ctx context.Context, to int64) error {
	var err error
	kind := eventActivity
	if to == 0 {
		kind, err = eventNew, m.open(ctx)
	} else {
		err = m.aim(ctx, to)
	}
	if err != nil {
		return err
	}
	if (m.from.Kind == store.KindInternal) != (m.to.Kind == store.KindInternal) {
		return store.Errorf(store.CodeConflict, "nothing moves between an internal ticket and one that is not")
	}
	if m.a, err = m.tx.MoveActivity(ctx, m.a.ID, m.to.Number, m.now); err != nil {
		return err
	}
	m.came = append(m.came, m.a)
	if err := m.rememberMove(ctx, &m.a, m.from.Number); err != nil {
		return err
	}
	if err := m.invite(ctx); err != nil {
		return err
	}
	if err := m.note(ctx, kind); err != nil {
		return err
	}
	return m.leave(ctx)
}

// trail gives the tickets where an activity lay before: one more, or, where it
// goes back to one of them, those from before that time.
func trail(before []int64, from, to int64) []int64 {
	if at := slices.Index(before, to); at >= 0 {
		return slices.Clone(before[:at])
	}
	return append(slices.Clone(before), from)
}

// aim finds the ticket that the agent named. One that was left empty by this
// very move, and leads here since, is a ticket again.
func (m *move) aim(ctx context.Context, number int64) error {
	t, err := m.visible(ctx, m.agent, number)
	if store.IsNotFound(err) {
		return store.Invalid("to", "there is no such ticket")
	}
	if err != nil {
		return err
	}
	if t.MergedInto == m.from.Number && slices.Contains(m.a.Moved, t.Number) {
		m.to = t
		return m.revive(ctx)
	}
	if m.to, err = m.s.followed(ctx, m.tx, number); err != nil {
		return err
	}
	switch {
	case !m.desk.Sees(m.agent.ID, m.to.ChannelID):
		return store.Invalid("to", "there is no such ticket")
	case m.to.Number == m.from.Number && number != m.from.Number:
		return store.Invalid("to", "%s went into %s, where it lies already", m.s.Reference(number), m.s.Reference(m.from.Number))
	case m.to.Number == m.from.Number:
		return store.Invalid("to", "it lies there already")
	}
	return nil
}

// revive takes back that a ticket went into another.
func (m *move) revive(ctx context.Context) error {
	m.to.MergedInto = 0
	m.to.Version++
	if !closedStatus(m.desk, m.to.StatusID) {
		m.to.ClosedAt = time.Time{}
	}
	return m.tx.DeleteLink(ctx, m.to.Number, m.from.Number, store.LinkMergedInto, store.LinkMerged)
}

// open makes a ticket for the activity, in the channel where it lies.
func (m *move) open(ctx context.Context) error {
	number, err := m.tx.NextNumber(ctx)
	if err != nil {
		return err
	}
	channel, err := m.into()
	if err != nil {
		return err
	}
	m.to = store.Ticket{
		Number: number, ID: store.NewID(), Kind: m.kind(), Subject: m.subject(), ChannelID: channel.ID,
		Priority: store.PriorityNormal, AccountID: m.from.AccountID, CreatedBy: m.agent.ID, Version: 1, CreatedAt: m.now, UpdatedAt: m.now, StatusAt: m.now,
	}
	m.to.StatusID = channel.DefaultStatusID
	if closedStatus(m.desk, m.to.StatusID) {
		m.to.ClosedAt = m.now
	}
	m.to.OwnerID = m.usable(channel.DefaultOwnerID, channel.ID)
	m.to.ResponsibleID = m.usable(channel.DefaultResponsibleID, channel.ID)
	if m.a.AccountID != "" {
		m.to.AccountID = m.a.AccountID
	}
	if err := m.whose(ctx); err != nil {
		return err
	}
	if err := m.tx.InsertTicket(ctx, m.to); err != nil {
		return err
	}
	return m.tx.AddLink(ctx, m.to.Number, m.from.Number, store.LinkSplitFrom, store.LinkSplit)
}

// into gives the channel of the new ticket.
func (m *move) into() (store.Channel, error) {
	id := m.split.ChannelID
	if id == "" {
		id = m.from.ChannelID
	}
	channel := m.desk.Channel(id)
	if channel == nil || m.split.ChannelID != "" && !channel.Active {
		return store.Channel{}, store.Invalid("channel_id", "there is no such active channel")
	}
	return *channel, nil
}

// subject gives the new ticket's: as the agent typed it, else the activity's
// unless that is hidden, else that of the ticket where it lay.
func (m *move) subject() string {
	if m.split.Subject != "" {
		return m.split.Subject
	}
	if subject := m.s.keys.bareSubject(m.a.Subject); subject != "" && m.a.Hidden == nil {
		return subject
	}
	return m.from.Subject
}

// kind gives how the new ticket came about.
func (m *move) kind() store.TicketKind {
	switch {
	case m.from.Kind == store.KindInternal || m.a.Type == store.TypeNote:
		return m.from.Kind
	case m.a.Medium == store.MediumEmail:
		return store.KindEmail
	}
	return store.KindEnquiry
}

// whose gives the new ticket its customer: who wrote the activity, else the
// one of the ticket where it lies.
func (m *move) whose(ctx context.Context) error {
	m.to.ContactID, m.to.CompanyID = m.from.ContactID, m.from.CompanyID
	if m.a.Type != store.TypeIncoming || m.from.Kind == store.KindInternal {
		return nil
	}
	var contact store.Contact
	var err error
	if m.a.Author.Kind == store.AuthorContact {
		contact, err = m.tx.Contact(ctx, m.a.Author.ID)
	} else {
		contact, err = m.stranger(ctx)
	}
	if err == nil {
		m.to.ContactID, m.to.CompanyID = contact.ID, contact.CompanyID
	}
	if store.IsNotFound(err) {
		return nil // erased since
	}
	return err
}

// stranger gives the contact of an author who was none when he wrote; none for
// a mail that names nobody, or ourselves.
func (m *move) stranger(ctx context.Context) (store.Contact, error) {
	a, err := message.ParseAddress(m.a.Author.Address)
	if err != nil || m.ours(a) || m.desk.AgentByKey(a.Key()) != nil {
		return store.Contact{}, nil
	}
	a.Name = m.a.Author.Name
	p, err := m.s.lookUp(ctx, m.tx, a)
	if err != nil || p.contact.ID != "" {
		return p.contact, err
	}
	return m.ensure(ctx, a, p, word{}.of(a))
}

// rememberMove writes where an activity lay before it was moved, so that what
// answers it follows, and that the move can be undone.
func (w *work) rememberMove(ctx context.Context, a *store.Activity, from int64) error {
	a.Moved = trail(a.Moved, from, a.Ticket)
	if err := w.tx.UpdateActivity(ctx, *a); err != nil || a.MessageID == "" {
		return err
	}
	return w.tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: a.MessageID, ActivityID: a.ID, Ticket: a.Ticket, Kind: store.RefMoved}})
}

// invite lets those whom the activity ties to the conversation write there. A
// stranger stays one.
func (m *move) invite(ctx context.Context) error {
	if m.a.Type == store.TypeNote || m.a.Sender == store.SenderStranger {
		return nil
	}
	people, err := m.people(ctx)
	if err != nil {
		return err
	}
	people = slices.DeleteFunc(people, func(p store.Participant) bool {
		a, err := message.ParseAddress(p.Address)
		return err != nil || m.ours(a)
	})
	if len(people) == 0 {
		return nil
	}
	return m.tx.AddParticipants(ctx, people)
}

// people gives those whom the activity ties to the conversation. Whom we wrote
// to may write; whom a mail addresses may do in its new ticket what he may in
// the old one.
func (m *move) people(ctx context.Context) ([]store.Participant, error) {
	if m.a.Type != store.TypeIncoming {
		return participants(m.to.Number, store.Participant{Trusted: true}, m.a.To, m.a.Cc), nil
	}
	known, err := m.tx.Participants(ctx, m.from.Number)
	if err != nil {
		return nil, err
	}
	addressed := participants(m.to.Number, store.Participant{}, m.a.To, m.a.Cc)
	for i := range addressed {
		p := &addressed[i]
		p.Trusted = slices.ContainsFunc(known, func(k store.Participant) bool { return k.Key == p.Key && k.Trusted })
	}
	author := store.Participant{
		Trusted: m.a.Auth == nil || m.a.Auth.Verdict == store.Verified || m.a.Auth.Verdict == store.Unverified,
		Active:  m.to.CreatedAt.Equal(m.now),
	}
	written := participants(m.to.Number, author, []store.Address{{Name: m.a.Author.Name, Address: m.a.Author.Address}})
	return append(written, addressed...), nil
}

// note tells of the move in both histories, and agents of the ticket that it made
// or changed.
func (m *move) note(ctx context.Context, kind eventKind) error {
	if m.a.Type == store.TypeIncoming && m.a.CreatedAt.After(m.to.LastIncomingAt) {
		m.to.LastIncomingAt = m.a.CreatedAt
	}
	if m.a.Type == store.TypeOutgoing && m.a.CreatedAt.After(m.to.LastOutgoingAt) {
		m.to.LastOutgoingAt = m.a.CreatedAt
	}
	change := []store.Change{{Field: "ticket", From: m.s.Reference(m.from.Number), To: m.s.Reference(m.to.Number)}}
	for _, side := range []*store.Ticket{&m.from, &m.to} {
		entry := m.statusChange(*side, m.agent, change)
		entry.Answers = m.a.ID
		if err := m.history(ctx, side, &entry); err != nil {
			return err
		}
		if side == &m.to {
			return m.notify(ctx, *side, entry, event{kind: kind, actor: m.agent.ID})
		}
	}
	return nil
}

// leave has a ticket in which nothing is left lead to where all of it went.
func (m *move) leave(ctx context.Context) error {
	empty, err := m.tx.NothingSaid(ctx, m.from.Number)
	if err != nil || !empty || m.from.MergedInto != 0 {
		return err
	}
	if err := m.tx.DeleteLink(ctx, m.from.Number, m.to.Number, store.LinkSplitFrom, store.LinkSplit); err != nil {
		return err
	}
	_, err = m.goesInto(ctx, m.agent, &m.from, &m.to, nil)
	return err
}
