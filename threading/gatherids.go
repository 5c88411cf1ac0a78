package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func (g *gatherer) referenceTokens(ctx context.Context) error {
	for _, id := range g.threadIDs() {
		s := SignalFacts{Kind: SignalToken, Value: id, Unsigned: !g.trustsID(id)}
		activity, ok := g.s.tokens.inMessageID(id)
		if !ok {
			if tokenInMessageID(id) {
				s.Void = notOurToken
				g.found = append(g.found, foundSignal{s, 0})
			}
			continue
		}
		a, err := g.activityByID(ctx, activity)
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		s.Activity = activity
		if err := g.add(ctx, s, a.Ticket); err != nil {
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

// trustsID tells whether a trusted field names the id.
func (g *gatherer) trustsID(id string) bool {
	return slices.Contains(g.Message.InReplyTo, id) && g.trusts("in-reply-to") ||
		slices.Contains(g.Message.References, id) && g.trusts("references")
}

// references looks for activities that carry, or named, one of the ids.
func (g *gatherer) references(ctx context.Context) error {
	ids, own := g.threadIDs(), g.Message.MessageID
	query := store.RefQuery{IDs: ids, Own: own, ContactID: g.who.contact.ID, CompanyID: g.who.company}
	if g.sole {
		query.Key = g.author.Key()
	}
	refs, err := g.tx.MessageRefs(ctx, query)
	if err != nil {
		return err
	}
	slices.SortStableFunc(refs, func(a, b store.MessageRef) int {
		return slices.Index(ids, a.MessageID) - slices.Index(ids, b.MessageID)
	})
	g.refs = refs
	for _, ref := range refs {
		if err := g.reference(ctx, ref, ref.MessageID == own); err != nil {
			return err
		}
	}
	return nil
}

// reference adds the signal of one id. What was named counts for the mail that
// has that id, and for those that name it too; everything else for the mails
// that answer it.
func (g *gatherer) reference(ctx context.Context, ref store.MessageRef, itself bool) error {
	s := SignalFacts{Value: ref.MessageID}
	named := ref.Kind == store.RefNamed
	switch {
	case ref.Kind == store.RefMoved || itself && !named:
		return nil
	case itself:
		s.Kind, s.Unsigned = SignalNamed, !g.trusts("message-id")
	case named:
		s.Kind, s.Unsigned = SignalAncestor, !g.trustsID(ref.MessageID)
	default:
		s.Kind, s.Unsigned, s.Activity = SignalReference, !g.trustsID(ref.MessageID), ref.ActivityID
	}
	claimed, err := g.claimed(ctx, ref)
	if err != nil {
		return err
	}
	if claimed {
		if s.Void, err = g.uninvited(ctx, ref.Ticket); err != nil {
			return err
		}
	}
	return g.add(ctx, s, ref.Ticket)
}

// claimed tells whether an id stands with an activity by somebody's mere word:
// it was named there, or is one of the sender's own domain that came with a mail
// of another's.
func (g *gatherer) claimed(ctx context.Context, ref store.MessageRef) (bool, error) {
	if ref.Kind != store.RefTheirs {
		return ref.Kind == store.RefNamed, nil
	}
	_, domain, _ := strings.Cut(ref.MessageID, "@")
	if !sameOrganisation(domain, g.author.Domain) {
		return false, nil
	}
	a, err := g.activityByID(ctx, ref.ActivityID)
	if err != nil || a == nil {
		return false, err
	}
	by, err := message.ParseAddress(a.Author.Address)
	return err != nil || !sameOrganisation(by.Domain, g.author.Domain), nil
}

// uninvited says why an id that somebody claimed does not tie this mail to his
// ticket. He could have claimed any id, and put the sender into his Cc; so
// unless the sender is the ticket's contact, this mail must address somebody
// who is switched on in that conversation.
func (g *gatherer) uninvited(ctx context.Context, number int64) (string, error) {
	t, err := g.ticket(ctx, number)
	if err != nil || t == nil || t.Contact || !t.Trusted && !t.Company {
		return "", err
	}
	if reason, known := g.doubts[t.Number]; known {
		return reason, nil
	}
	people, err := g.tx.Participants(ctx, t.Number)
	if err != nil {
		return "", err
	}
	reason := "it addresses nobody of that conversation"
	for _, a := range slices.Concat(g.Message.To, g.Message.Cc) {
		if slices.ContainsFunc(people, func(p store.Participant) bool { return p.Active && p.Key == a.Key() }) {
			reason = ""
		}
	}
	g.doubts[t.Number] = reason
	return reason, nil
}

// followMoves lets a mail follow the one that it answers where an agent moved
// that to another ticket: whatever it says of the ticket where that lay before
// counts for nothing.
func (g *gatherer) followMoves(ctx context.Context) error {
	nearest, err := g.nearestMoved(ctx)
	if err != nil || nearest == nil {
		return err
	}
	for i := range g.found {
		s := &g.found[i]
		if s.Void == "" && s.Ticket != nil && s.Ticket.Number != nearest.Ticket && slices.Contains(nearest.Moved, s.number) {
			s.Void = "an agent moved the thread to " + g.s.Reference(nearest.Ticket)
		}
	}
	return nil
}

// nearestMoved gives the nearest activity that the mail answers, if it was moved.
func (g *gatherer) nearestMoved(ctx context.Context) (*store.Activity, error) {
	for _, id := range g.threadIDs() {
		for _, ref := range g.refs {
			if ref.MessageID == id && ref.Kind == store.RefMoved {
				return g.activityByID(ctx, ref.ActivityID)
			}
		}
		if slices.ContainsFunc(g.refs, func(r store.MessageRef) bool { return r.MessageID == id && r.Kind != store.RefNamed }) {
			return nil, nil
		}
	}
	return nil, nil
}

// compareSubjects marks, for channels that mind, the signals of a mail whose
// subject is neither the ticket's nor that of the mail that it answers.
func (g *gatherer) compareSubjects(ctx context.Context) error {
	subject := g.bareSubject(g.Message.Subject)
	if subject == "" {
		return nil
	}
	for i := range g.found {
		s := &g.found[i]
		if s.Ticket == nil || s.Ticket.NewSubject != store.NewSubjectSuggest || !s.Kind.token() && !s.Kind.thread() {
			continue
		}
		s.OtherSubject = g.bareSubject(g.subjects[s.Ticket.Number]) != subject
		if !s.OtherSubject || s.Activity == "" {
			continue
		}
		a, err := g.activityByID(ctx, s.Activity)
		if err != nil {
			return err
		}
		s.OtherSubject = a == nil || g.bareSubject(a.Subject) != subject
	}
	return nil
}

// bareSubject gives a subject in the form that it is compared by.
func (g *gatherer) bareSubject(subject string) string {
	return strings.ToLower(g.s.keys.bareSubject(subject))
}
