package threading

import (
	"context"
	"maps"
	"slices"

	"ticketgate/store"
)

// settle sets the values of custom fields that rules chose, for a ticket that is
// about to be written with an entry of its history.
func (r *ruling) settle(ctx context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(r.fields)) {
		version := r.t.Version
		changes, err := r.patchFields(ctx, r.t, map[string]any{key: r.fields[key]})
		if store.CodeOf(err) == store.CodeInvalid {
			continue // the ticket has left the field's channels since
		}
		if err != nil {
			return err
		}
		if r.fresh {
			r.t.Version = version
		}
		for _, c := range changes {
			r.changes = withChange(r.changes, c)
		}
	}
	r.fields = nil
	return nil
}

// watch has the agents watch the ticket whom rules named, and gives who came to
// it by that.
func (r *ruling) watch(ctx context.Context) ([]tie, error) {
	var became []tie
	for _, id := range r.watchers {
		if !r.desk.Sees(id, r.t.ChannelID) { // a later rule moved it out of his sight
			continue
		}
		added, err := r.tx.AddWatcher(ctx, r.t.Number, id)
		if err != nil {
			return nil, err
		}
		if added {
			became = append(became, tie{id, roleWatcher})
		}
	}
	return became, nil
}

// speak writes the notes of the rules, calls their webhooks, and sends their answers to what about
// tells of. quiet: agents learn of the notes with what the rules looked at.
func (r *ruling) speak(ctx context.Context, about *store.Activity, quiet bool) error {
	for _, say := range r.words {
		var err error
		switch {
		case say.note != "":
			err = r.noteDown(ctx, say, quiet)
		case say.webhook != "":
			err = r.callOut(ctx, say, about)
		default:
			err = r.answer(ctx, say, about)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// callOut has a webhook told that a rule held. It goes by the journal, as all that
// webhooks are told of.
func (r *ruling) callOut(ctx context.Context, say said, about *store.Activity) error {
	e := store.Event{Kind: store.EventRuleMatched, Ticket: r.t.Number, At: r.now, Data: store.EventData{Rule: say.rule.ID, Webhook: say.webhook}}
	if about != nil {
		e.ActivityID = about.ID
	}
	return r.tx.AddEvent(ctx, e)
}

func (r *ruling) noteDown(ctx context.Context, say said, quiet bool) error {
	a := r.entry(store.TypeNote, store.MediumInternal, say.rule)
	a.Text, a.ReplyText = say.note, say.note
	if err := r.history(ctx, r.t, &a); err != nil {
		return err
	}
	if err := r.keep(ctx, *r.t, a, content{}); err != nil || quiet {
		return err
	}
	return r.notify(ctx, *r.t, a, event{kind: eventActivity})
}

// entry makes an entry of the history that a rule wrote.
func (r *ruling) entry(kind store.ActivityType, medium store.Medium, by *rule) store.Activity {
	return store.Activity{
		ID: store.NewID(), Ticket: r.t.Number, Type: kind, Medium: medium, CreatedAt: r.now,
		Author:         store.Author{Kind: store.AuthorSystem, Name: by.Name},
		ActivityDetail: store.ActivityDetail{Rules: []store.RuleTrace{{ID: by.ID, Name: by.Name, Result: store.RuleMatched}}},
	}
}

// answer sends a rule's template to who wrote the mail that about is, or else the
// ticket's newest one. It holds the limits of acknowledgements, and where it may
// not go the log says why.
func (r *ruling) answer(ctx context.Context, say said, about *store.Activity) error {
	to, err := r.toAnswer(ctx, about)
	if err != nil {
		return err
	}
	account, why := r.mayAnswer(*r.t, to)
	key := addressKey(to.Author.Address)
	if why == "" {
		var within bool
		if within, why, err = r.withinBudget(ctx, *r.t, r.desk.Channel(r.t.ChannelID), key); err != nil {
			return err
		}
		if within {
			return r.sendAnswer(ctx, say, account, to)
		}
	}
	r.s.log.Info("a rule's answer does not go out", "rule", say.rule.Name, "ticket", r.t.Number, "why", why)
	return nil
}

func (r *ruling) toAnswer(ctx context.Context, about *store.Activity) (store.Activity, error) {
	if about != nil && about.Type == store.TypeIncoming {
		return *about, nil
	}
	a, err := r.tx.LastIncoming(ctx, r.t.Number)
	return a, hard(err)
}

// mayAnswer gives the account that an automatic answer to a mail goes out from, or
// says why none may: as an acknowledgement it goes only to a person who proved to
// have written, and never out of an internal ticket.
func (w *work) mayAnswer(t store.Ticket, to store.Activity) (*store.MailAccount, string) {
	key := addressKey(to.Author.Address)
	channel := w.desk.Channel(t.ChannelID)
	switch {
	case t.Kind == store.KindInternal:
		return nil, "the ticket is internal"
	case t.SuggestedTicket != 0:
		return nil, "its mail waits for another ticket"
	case channel == nil || to.ID == "" || to.Type != store.TypeIncoming || to.Medium != store.MediumEmail || key == "":
		return nil, "there is no mail to answer"
	case to.Automatic != "":
		return nil, "a machine wrote it"
	case to.EnvelopeFrom == "":
		return nil, "it has the null sender" // RFC 3834, 2
	case to.Auth == nil || to.Auth.Verdict != store.Verified:
		return nil, "the sender is not verified"
	case to.Sender != store.SenderParticipant || w.desk.AgentByKey(key) != nil:
		return nil, "a stranger or an agent wrote it"
	case to.CreatedBy != "":
		return nil, "an agent handed it in"
	case len(to.From) != 1 || addressKey(to.From[0].Address) != key:
		return nil, "the address was typed into a form"
	case w.desk.AccountByKey(key) != nil:
		return nil, "it came from an address of our own"
	}
	account, err := sendingAccount(w.desk, "", channel, t.AccountID)
	if err != nil {
		return nil, "there is no account to send with"
	}
	return account, ""
}

// sendAnswer writes the answer into the history and the ledger. Who wrote gets no
// right by it that he had not, and the ticket counts as answered by nobody.
func (r *ruling) sendAnswer(ctx context.Context, say said, account *store.MailAccount, to store.Activity) error {
	template := r.desk.Template(say.template)
	if template == nil || CheckAcknowledgement(*template) != nil {
		return nil
	}
	words := fill(*template, r.ownValues(*r.t))
	if words.Subject == "" {
		words.Subject = "About your message"
	}
	a := r.entry(store.TypeOutgoing, store.MediumEmail, say.rule)
	m := r.newMail(store.MailTemplate, account, *r.t, a)
	m.To = []store.Address{{Address: to.Author.Address}}
	m.Subject, m.Text, m.HTML = r.s.keys.Tag(r.t.Number)+" "+words.Subject, words.Text, words.HTML
	m.AutoSubmitted, m.InReplyTo = "auto-replied", to.MessageID
	if to.MessageID != "" {
		m.References = []string{to.MessageID}
	}
	a.AccountID, a.Answers, a.External, a.MessageID = account.ID, to.ID, true, m.MessageID
	a.From, a.To = []store.Address{m.From}, m.To
	a.Subject, a.Text, a.HTML, a.ReplyText = m.Subject, m.Text, m.HTML, m.Text
	if err := r.history(ctx, r.t, &a); err != nil {
		return err
	}
	if err := r.keep(ctx, *r.t, a, content{}); err != nil {
		return err
	}
	return r.send(ctx, account, m, []string{to.Author.Address})
}
