package threading

import (
	"context"
	"slices"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// senderFacts tells what is known of who wrote the mail.
func (f *filing) senderFacts() SenderFacts {
	s := SenderFacts{Verdict: f.Auth.Verdict, NoPolicy: f.PolicyKnownNone, Sole: f.sole && !f.mailed}
	if a := f.desk.AgentByKey(f.author.Key()); a != nil {
		s.Agent, s.Active, s.Addressee = true, a.Active, f.addressee()
	}
	return s
}

// addressee tells whom the mail was written to.
func (f *filing) addressee() Addressee {
	to, cc := f.trusts("to"), f.trusts("cc")
	switch {
	case to && slices.ContainsFunc(f.Message.To, f.ours), cc && slices.ContainsFunc(f.Message.Cc, f.ours):
		return AddresseeUs
	case to:
		return AddresseeOthers
	}
	return AddresseeUnknown
}

// agent gives the active agent who wrote the mail, only where that is verified.
func (f *filing) agent() *store.Agent {
	if f.behalf != nil {
		return f.behalf
	}
	if !f.senderFacts().acting() {
		return nil
	}
	return f.desk.AgentByKey(f.author.Key())
}

// inName gives the agent in whose name the mail comes, be that verified or not;
// nil for a customer's.
func (f *filing) inName() *store.Agent {
	if f.behalf != nil {
		return f.behalf
	}
	return f.desk.AgentByKey(f.author.Key())
}

// received is when the mail came: one that is looked at again hours later is
// judged by that.
func (f *filing) received() time.Time {
	if f.ReceivedAt.IsZero() {
		return f.now
	}
	return f.ReceivedAt
}

// trusts tells whether a field may be trusted as far as the verdict goes.
func (f *filing) trusts(field string) bool { return f.Trusts == nil || f.Trusts(field) }

// facts gathers all that Decide needs.
func (f *filing) facts(ctx context.Context, who person) (Facts, error) {
	g := &gatherer{
		filing: f, who: who, tickets: map[int64]*TicketFacts{}, subjects: map[int64]string{},
		activities: map[string]*store.Activity{}, doubts: map[int64]string{},
	}
	for _, step := range []func(context.Context) error{g.envelopeTokens, g.referenceTokens, g.tags, g.foreignNumbers, g.references, g.textTags, g.followMoves, g.compareSubjects} {
		if err := step(ctx); err != nil {
			return Facts{}, err
		}
	}
	return Facts{Sender: f.senderFacts(), Automatic: machine(f.Message), Signals: g.signals(), Now: f.received()}, nil
}

// gatherer collects signals; each ticket and activity is read once.
type gatherer struct {
	*filing
	who        person
	tickets    map[int64]*TicketFacts
	subjects   map[int64]string           // of tickets
	activities map[string]*store.Activity // nil: there is none
	doubts     map[int64]string           // about tickets that somebody claimed an id for
	found      []foundSignal
}

// foundSignal is a signal with what is needed to judge it further.
type foundSignal struct {
	SignalFacts
	number int64 // of the ticket that the mail named, before merges were followed
}

func (g *gatherer) signals() []SignalFacts {
	list := make([]SignalFacts, 0, len(g.found))
	for _, s := range g.found {
		list = append(list, s.SignalFacts)
	}
	return list
}

// add notes a signal that names a ticket. What names it a second time in the
// same way says nothing new.
func (g *gatherer) add(ctx context.Context, s SignalFacts, number int64) error {
	for _, known := range g.found {
		if known.Kind == s.Kind && known.number == number && known.Void == s.Void && (!known.Unsigned || s.Unsigned) {
			return nil
		}
	}
	var err error
	if s.Ticket, err = g.ticket(ctx, number); err != nil {
		return err
	}
	g.found = append(g.found, foundSignal{s, number})
	return nil
}

// envelopeTokens reads what stands behind the plus of the recipients. The
// envelope is never signed, but To mostly repeats it.
func (g *gatherer) envelopeTokens(ctx context.Context) error {
	for _, t := range g.accounts {
		for _, token := range t.tokens {
			s := SignalFacts{Kind: SignalEnvelopeToken, Value: token, Unsigned: !g.addressedTo(token)}
			id, number, err := g.tokenTicket(ctx, token)
			if err != nil {
				return err
			}
			if number == 0 {
				if looksLikeToken(token) {
					s.Void = notOurToken
					g.found = append(g.found, foundSignal{s, 0})
				}
				continue // an extension of another meaning
			}
			s.Activity = id
			if err := g.add(ctx, s, number); err != nil {
				return err
			}
		}
	}
	return nil
}

const notOurToken = "a token that is not valid, or of something that is gone"

// addressedTo tells whether a trusted To or Cc holds an address with the token.
func (g *gatherer) addressedTo(token string) bool {
	holds := func(field string, list []message.Address) bool {
		return g.trusts(field) && slices.ContainsFunc(list, func(a message.Address) bool {
			_, extension := splitExtension(a)
			return strings.EqualFold(extension, token)
		})
	}
	return holds("to", g.Message.To) || holds("cc", g.Message.Cc)
}

// tokenTicket gives what an address's extension names: an activity and its
// ticket, or the ticket alone. Answers of machines come to the return path, so
// a delivery's token names its ticket as well.
func (g *gatherer) tokenTicket(ctx context.Context, token string) (activity string, number int64, err error) {
	if id, ok := g.s.tokens.activity(token); ok {
		a, err := g.activityByID(ctx, id)
		if err != nil || a == nil {
			return "", 0, err
		}
		return id, a.Ticket, nil
	}
	id, ok := g.s.deliveryToken(token)
	if !ok {
		return "", 0, nil
	}
	d, err := g.tx.Delivery(ctx, id)
	if store.IsNotFound(err) {
		return "", 0, nil
	}
	return "", d.Ticket, err
}

func (g *gatherer) activityByID(ctx context.Context, id string) (*store.Activity, error) {
	if known, ok := g.activities[id]; ok {
		return known, nil
	}
	a, err := g.tx.Activity(ctx, id)
	if store.IsNotFound(err) {
		g.activities[id] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g.activities[id] = &a
	return &a, nil
}

// tags finds what the subject names. Where a field stands twice, whoever added
// the second one may have added the tag (RFC 5322, 3.6).
func (g *gatherer) tags(ctx context.Context) error {
	void := ""
	if len(g.Message.Duplicated) > 0 {
		void = "a header field stands twice"
	}
	for kind, numbers := range map[SignalKind][]int64{
		SignalTag: g.s.keys.Tags(g.Message.Subject), SignalBareReference: g.s.keys.References(g.Message.Subject),
	} {
		for _, number := range numbers {
			s := SignalFacts{Kind: kind, Value: numberValue(number), Void: void, Unsigned: !g.trusts("subject")}
			if err := g.add(ctx, s, number); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *gatherer) textTags(ctx context.Context) error {
	if len(g.Message.Duplicated) > 0 || !slices.ContainsFunc(g.accounts, func(t target) bool { return t.channel != nil && t.channel.TagInText }) {
		return nil
	}
	for _, number := range g.s.keys.Tags(g.Message.Text) {
		if err := g.add(ctx, SignalFacts{Kind: SignalTextTag, Value: numberValue(number)}, number); err != nil {
			return err
		}
	}
	return nil
}

// ticket reads a ticket that a signal names, and follows merges.
func (g *gatherer) ticket(ctx context.Context, number int64) (*TicketFacts, error) {
	if known, ok := g.tickets[number]; ok {
		return known, nil
	}
	t, err := g.s.followed(ctx, g.tx, number)
	if store.IsNotFound(err) {
		g.tickets[number] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	facts, err := g.ticketFacts(ctx, t)
	g.tickets[number], g.subjects[t.Number] = facts, t.Subject
	return facts, err
}

// followed reads a ticket, or the one that it went into, however many merges
// lie between. A ring, which no merge makes, ends where it began.
func (s *Service) followed(ctx context.Context, tx *store.Tx, number int64) (store.Ticket, error) {
	t, err := tx.Ticket(ctx, number)
	for seen := map[int64]bool{number: true}; err == nil && t.MergedInto != 0 && !seen[t.MergedInto]; {
		seen[t.MergedInto] = true
		t, err = tx.Ticket(ctx, t.MergedInto)
	}
	return t, err
}

func (g *gatherer) ticketFacts(ctx context.Context, t store.Ticket) (*TicketFacts, error) {
	facts := &TicketFacts{
		Number: t.Number, Internal: t.Kind == store.KindInternal, Closed: !t.ClosedAt.IsZero(), ClosedAt: t.ClosedAt,
		Contact: t.ContactID != "" && t.ContactID == g.who.contact.ID,
		Company: t.CompanyID != "" && t.CompanyID == g.who.company,
		Scope:   scopeCompany, Stranger: strangerHold, NewSubject: store.NewSubjectSame,
	}
	if channel := g.desk.Channel(t.ChannelID); channel != nil {
		facts.ReopenDays, facts.Stranger = channel.ReopenDays, channel.StrangerFollowup
		facts.Scope, facts.NewSubject = channel.FollowupScope, channel.SubjectPolicy()
	}
	if a := g.desk.AgentByKey(g.author.Key()); a != nil {
		facts.Visible = g.desk.Sees(a.ID, t.ChannelID)
	}
	if !g.sole || facts.Contact || facts.Scope == scopeContact {
		return facts, nil
	}
	p, found, err := g.tx.IsParticipant(ctx, t.Number, g.author.Key())
	facts.Trusted = found && p.Trusted
	return facts, err
}

// deliveryToken reads the extension of a return path: b-TOKEN.
func (s *Service) deliveryToken(extension string) (id string, ok bool) {
	token, found := strings.CutPrefix(strings.ToLower(extension), bouncePrefix)
	if !found {
		return "", false
	}
	return s.tokens.delivery(token)
}

// bouncePrefix stands before a delivery's token in a return path.
const bouncePrefix = "b-"
