package threading

import (
	"context"
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// handed tells of a mail that an agent handed in himself, out of his own mail
// program or by a script.
type handed struct {
	agent  *store.Agent
	ticket int64 // that it belongs to, on his word; 0: decided as for any mail
}

// sourceAgent is the Source of an activity that an agent handed in.
const sourceAgent = "agent"

// HandIn files a mail that an agent holds, for the account with this id or, where
// that is empty, the one that the mail names, the ticket's, the only one. ticket,
// which the agent must see, takes it on his word; 0 has it decided as for any
// mail. It is never acknowledged, and never acts in an agent's name. What is here
// already is OutcomeDuplicate. Errors: not_found for the ticket; invalid
// (account_id); conflict for an internal ticket, and where no account is meant.
func (s *Service) HandIn(ctx context.Context, agent *store.Agent, in Incoming, accountID string, ticket int64) (Result, error) {
	in.handed = &handed{agent: agent, ticket: ticket}
	in.From = agent.Email
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := s.newWork(ctx, tx)
		if err != nil {
			return err
		}
		t := store.Ticket{}
		if ticket != 0 {
			if t, err = w.handTo(ctx, in.handed); err != nil {
				return err
			}
			in.handed.ticket = t.Number
		}
		account, err := w.handFor(in.Message, accountID, t)
		if err == nil {
			in.Recipients = []string{account.Address}
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	r := s.Take(ctx, in)[0]
	return r, r.Err
}

// handTo gives the ticket that a mail is handed to: where it was merged, the one
// that it went into.
func (w *work) handTo(ctx context.Context, h *handed) (store.Ticket, error) {
	if _, err := w.visible(ctx, h.agent, h.ticket); err != nil {
		return store.Ticket{}, err
	}
	t, err := w.s.followed(ctx, w.tx, h.ticket)
	switch {
	case err != nil:
		return t, err
	case !w.desk.Sees(h.agent.ID, t.ChannelID):
		return t, store.Errorf(store.CodeNotFound, "there is no such ticket")
	case t.Kind == store.KindInternal:
		return t, store.Errorf(store.CodeConflict, "an internal ticket has no mail")
	}
	return t, nil
}

// handFor gives the account that a mail is handed in for.
func (w *work) handFor(m *message.Message, named string, t store.Ticket) (*store.MailAccount, error) {
	if named == "" {
		for _, a := range slices.Concat(m.To, m.Cc) {
			if found, _ := account(w.desk, a); canSend(found) {
				return found, nil
			}
		}
	}
	return sendingAccount(w.desk, named, w.desk.Channel(t.ChannelID), t.AccountID)
}

// onWord is the decision on a mail that an agent handed to a ticket. Its author
// gets no rights by that: he is a participant where he was one.
func (f *filing) onWord(ctx context.Context, who person) (Decision, error) {
	t, err := f.handTo(ctx, f.handed)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Outcome: OutcomeAppend, Ticket: t.Number, By: SignalAgent, Sender: store.SenderStranger, Inert: f.senderFacts().weak()}
	people, err := f.tx.Participants(ctx, t.Number)
	if err != nil {
		return d, err
	}
	known := slices.ContainsFunc(people, func(p store.Participant) bool { return p.Key == f.author.Key() && p.Trusted })
	if f.sole && !d.Inert && f.agent() == nil && (known || who.contact.ID != "" && who.contact.ID == t.ContactID) {
		d.Sender = store.SenderParticipant
	}
	return d, nil
}

// harmless keeps a mail that was handed in from acting in an agent's name: he
// would have written it himself.
func (f *filing) harmless(d Decision) Decision {
	if f.handed != nil && d.Sender == store.SenderAgent {
		d.Sender, d.Inert = store.SenderStranger, true
	}
	return d
}
