package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
)

// sift takes out of what rules have to say the answers that may not go, and says why
// in the trace. What an answer answers is what about tells of, or else the ticket's
// newest mail.
func (r *ruling) sift(ctx context.Context, about *store.Activity) error {
	if !slices.ContainsFunc(r.words, func(s said) bool { return s.template != "" }) {
		return nil
	}
	to, err := r.toAnswer(ctx, about)
	if err != nil {
		return err
	}
	var kept []said
	for _, say := range r.words {
		why := ""
		if say.template != "" {
			say.to = to
			say.account, why = r.mayAnswer(*r.t, to)
		}
		if say.template != "" && about != nil && r.answered[answeredBy{say.rule.ID, to.RawHash}] {
			why = "it answered this mail in another ticket"
		}
		if why == "" {
			kept = append(kept, say)
			continue
		}
		r.refuse(say, why)
	}
	r.words = kept
	return nil
}

// answeredBy is a mail that a rule answered: one to several of our accounts lies in
// several tickets.
type answeredBy struct{ rule, rawHash string }

// refuse says in the trace that an answer does not go out.
func (r *ruling) refuse(say said, why string) {
	at := slices.IndexFunc(r.trace, func(t store.RuleTrace) bool { return t.ID == say.rule.ID })
	t := &r.trace[at]
	t.Did = slices.DeleteFunc(t.Did, func(line string) bool { return strings.HasPrefix(line, answerLine) })
	t.Refused = append(t.Refused, answerLine+why)
	if !r.dry {
		r.s.log.Info("a rule's answer does not go out", "rule", say.rule.Name, "ticket", r.t.Number, "why", why)
	}
}

// answerLine begins the line of a trace that tells of an answer.
const answerLine = "answer: "

// foresee takes out the answers for which nothing is left of the address's automatic
// mails of the day; acknowledged tells that one goes before them. It is for who writes
// nothing.
func (r *ruling) foresee(ctx context.Context, acknowledged bool) error {
	gone := 0
	if acknowledged {
		gone = 1
	}
	var kept []said
	for _, say := range r.words {
		if say.template == "" {
			kept = append(kept, say)
			continue
		}
		within, why, err := r.withinBudget(ctx, *r.t, r.desk.Channel(r.t.ChannelID), addressKey(say.to.Author.Address), gone)
		if err != nil {
			return err
		}
		if !within {
			r.refuse(say, why)
			continue
		}
		gone, kept = gone+1, append(kept, say)
	}
	r.words = kept
	return nil
}

// answer sends a rule's template, within the limits of acknowledgements.
func (r *ruling) answer(ctx context.Context, say said) error {
	within, why, err := r.withinBudget(ctx, *r.t, r.desk.Channel(r.t.ChannelID), addressKey(say.to.Author.Address), 0)
	if err != nil {
		return err
	}
	if !within {
		r.refuse(say, why)
		r.amended = true
		return nil
	}
	if r.answered == nil {
		r.answered = map[answeredBy]bool{}
	}
	r.answered[answeredBy{say.rule.ID, say.to.RawHash}] = true
	return r.sendAnswer(ctx, say, say.account, say.to)
}

// amend brings the trace of an entry up to date with what only came out when it was
// written.
func (r *ruling) amend(ctx context.Context, a *store.Activity) error {
	if !r.amended {
		return nil
	}
	a.Rules = r.kept()
	return r.tx.UpdateActivity(ctx, *a)
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
	case to.Hidden != nil:
		return nil, "an agent hid the mail"
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
