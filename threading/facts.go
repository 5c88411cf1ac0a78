package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
)

// maxHops bounds how far a chain of merged tickets is followed.
const maxHops = 50

// senderFacts tells what the verdict is worth for this From.
func (f *filing) senderFacts() SenderFacts {
	weak := f.Auth.Verdict == store.Failed || f.Auth.Verdict == store.AuthError && !f.PolicyKnownNone
	return SenderFacts{Weak: weak, Agent: !weak && f.agent() != nil}
}

// agent gives the active agent who wrote the mail, only where that is verified.
func (f *filing) agent() *store.Agent {
	if !f.sole || f.Auth.Verdict != store.Verified {
		return nil
	}
	if a := f.desk.AgentByKey(f.author.Key()); a != nil && a.Active {
		return a
	}
	return nil
}

// facts gathers all that Decide needs.
func (f *filing) facts(ctx context.Context, who person) (Facts, error) {
	g := &gatherer{filing: f, who: who, tickets: map[int64]*TicketFacts{}}
	for _, step := range []func(context.Context) error{g.envelopeTokens, g.referenceTokens, g.tags, g.references, g.textTags} {
		if err := step(ctx); err != nil {
			return Facts{}, err
		}
	}
	return Facts{
		Sender: f.senderFacts(), Automatic: machine(f.Message), Signals: g.signals, Now: f.now,
	}, nil
}

// gatherer collects signals; each ticket is read once.
type gatherer struct {
	*filing
	who     person
	tickets map[int64]*TicketFacts
	signals []SignalFacts
}

func (g *gatherer) add(ctx context.Context, kind SignalKind, value string, number int64) error {
	ticket, err := g.ticket(ctx, number)
	if err != nil {
		return err
	}
	g.signals = append(g.signals, SignalFacts{Kind: kind, Value: value, Ticket: ticket})
	return nil
}

func (g *gatherer) envelopeTokens(ctx context.Context) error {
	for _, t := range g.accounts {
		for _, token := range t.tokens {
			number, err := g.tokenTicket(ctx, token)
			if err != nil {
				return err
			}
			if number == 0 {
				continue // an extension that is no token of ours
			}
			if err := g.add(ctx, SignalEnvelopeToken, token, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// tokenTicket gives the ticket that an address's extension names, or 0. Answers
// of machines come to the return path, so a delivery's token names its ticket
// as well.
func (g *gatherer) tokenTicket(ctx context.Context, token string) (int64, error) {
	if id, ok := g.s.tokens.activity(token); ok {
		return g.activityTicket(ctx, id)
	}
	id, ok := g.s.deliveryToken(token)
	if !ok {
		return 0, nil
	}
	d, err := g.tx.Delivery(ctx, id)
	if store.IsNotFound(err) {
		return 0, nil
	}
	return d.Ticket, err
}

func (g *gatherer) activityTicket(ctx context.Context, id string) (int64, error) {
	a, err := g.tx.Activity(ctx, id)
	if store.IsNotFound(err) {
		return 0, nil
	}
	return a.Ticket, err
}

func (g *gatherer) referenceTokens(ctx context.Context) error {
	for _, id := range g.threadIDs() {
		activity, ok := g.s.tokens.inMessageID(id)
		if !ok {
			continue
		}
		number, err := g.activityTicket(ctx, activity)
		if err != nil {
			return err
		}
		if number == 0 {
			continue
		}
		if err := g.add(ctx, SignalToken, id, number); err != nil {
			return err
		}
	}
	return nil
}

// threadIDs gives the ids that the mail answers, nearest first.
func (f *filing) threadIDs() []string {
	ids := slices.Clone(f.Message.InReplyTo)
	for _, id := range slices.Backward(f.Message.References) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (g *gatherer) tags(ctx context.Context) error {
	if len(g.Message.Duplicated) > 0 { // RFC 5322, 3.6: whoever added the second one may have added the tag
		return nil
	}
	for _, number := range g.s.keys.Tags(g.Message.Subject) {
		if err := g.add(ctx, SignalTag, numberValue(number), number); err != nil {
			return err
		}
	}
	for _, number := range g.s.keys.References(g.Message.Subject) {
		if err := g.add(ctx, SignalBareReference, numberValue(number), number); err != nil {
			return err
		}
	}
	return nil
}

// references looks for activities that carry, or named, one of the ids.
func (g *gatherer) references(ctx context.Context) error {
	ids := g.threadIDs()
	if g.Message.MessageID != "" {
		ids = append(ids, g.Message.MessageID)
	}
	if len(ids) == 0 {
		return nil
	}
	refs, err := g.tx.MessageRefs(ctx, ids)
	if err != nil {
		return err
	}
	slices.SortStableFunc(refs, func(a, b store.MessageRef) int {
		return slices.Index(ids, a.MessageID) - slices.Index(ids, b.MessageID)
	})
	for _, ref := range refs {
		// what was named counts for the mail that has that id, everything else
		// for the mails that answer it
		kind, own := SignalReference, ref.MessageID == g.Message.MessageID
		if (ref.Kind == store.RefNamed) != own {
			continue
		}
		if own {
			kind = SignalNamed
		}
		if err := g.add(ctx, kind, ref.MessageID, ref.Ticket); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherer) textTags(ctx context.Context) error {
	if len(g.Message.Duplicated) > 0 || !slices.ContainsFunc(g.accounts, func(t target) bool { return t.channel != nil && t.channel.TagInText }) {
		return nil
	}
	for _, number := range g.s.keys.Tags(g.Message.Text) {
		if err := g.add(ctx, SignalTextTag, numberValue(number), number); err != nil {
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
	g.tickets[number] = facts
	return facts, err
}

// followed reads a ticket, or the one that it went into.
func (s *Service) followed(ctx context.Context, tx *store.Tx, number int64) (store.Ticket, error) {
	t, err := tx.Ticket(ctx, number)
	for hop := 0; err == nil && t.MergedInto != 0 && hop < maxHops; hop++ {
		t, err = tx.Ticket(ctx, t.MergedInto)
	}
	return t, err
}

func (g *gatherer) ticketFacts(ctx context.Context, t store.Ticket) (*TicketFacts, error) {
	facts := &TicketFacts{
		Number: t.Number, Internal: t.Kind == store.KindInternal,
		Closed: !t.ClosedAt.IsZero(), ClosedAt: t.ClosedAt, Stranger: strangerHold,
	}
	scope := scopeCompany
	if channel := g.desk.Channel(t.ChannelID); channel != nil {
		facts.ReopenDays, facts.Stranger, scope = channel.ReopenDays, channel.StrangerFollowup, channel.FollowupScope
	}
	if agent := g.agent(); agent != nil {
		facts.Visible = g.desk.Sees(agent.ID, t.ChannelID)
	}
	var err error
	facts.Participant, err = g.participates(ctx, t, scope)
	return facts, err
}

// The followup scopes of a channel.
const (
	scopeContact      = "contact"
	scopeCompany      = "company"
	scopeParticipants = "participants"
)

// participates tells whether the sender belongs to a ticket's conversation.
func (g *gatherer) participates(ctx context.Context, t store.Ticket, scope string) (bool, error) {
	switch {
	case !g.sole:
		return false, nil
	case t.ContactID != "" && t.ContactID == g.who.contact.ID:
		return true, nil
	case scope == scopeContact:
		return false, nil
	case scope != scopeParticipants && t.CompanyID != "" && t.CompanyID == g.who.company:
		return true, nil
	}
	p, found, err := g.tx.IsParticipant(ctx, t.Number, g.author.Key())
	return found && p.Trusted, err
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
