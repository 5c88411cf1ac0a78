package threading

import (
	"context"
	"fmt"
	"strings"

	"ticketgate/store"
)

// notify tells the agents whom an event concerns, each in his way. While there
// is no account to send with nobody is told by mail, but by an event.
func (w *work) notify(ctx context.Context, t store.Ticket, a store.Activity, e event) error {
	watchers, err := w.watchers(ctx, t, e)
	if err != nil {
		return err
	}
	list := notices(w.desk, t, watchers, e)
	if len(list) == 0 {
		return nil
	}
	account := w.notifier(t)
	told := w.s.story(w.desk, t, a)
	for _, n := range list {
		if err := w.tellOf(ctx, account, t, a, n, told); err != nil {
			return err
		}
	}
	return nil
}

// watchers gives those of a ticket. One that a mail opened just now has none.
func (w *work) watchers(ctx context.Context, t store.Ticket, e event) ([]string, error) {
	if e.kind == eventNew && t.CreatedBy == "" {
		return nil, nil
	}
	all, err := w.tx.Watchers(ctx, t.Number)
	return all[t.Number], err
}

// tellOf tells one agent.
func (w *work) tellOf(ctx context.Context, account *store.MailAccount, t store.Ticket, a store.Activity, n notice, told story) error {
	switch {
	case n.way == store.NotifyEvent || account == nil:
		return w.tellAgent(ctx, n.agent.ID, t.Number, a.ID, n.reason, headline(n.reason, a))
	case n.way == store.NotifyDigest:
		return w.tellLater(ctx, t, a, n)
	}
	return w.send(ctx, account, w.notification(account, t, a, n, told), []string{n.agent.Email})
}

// notifier gives the account that mails to agents go out from: a system
// account, else the ticket's, else the oldest active one.
func (w *work) notifier(t store.Ticket) *store.MailAccount {
	var oldest *store.MailAccount
	for i := range w.desk.Accounts {
		a := &w.desk.Accounts[i]
		switch {
		case !a.Active:
			continue
		case a.Type == store.AccountSystem:
			return a
		case oldest == nil || a.CreatedAt.Before(oldest.CreatedAt):
			oldest = a
		}
	}
	if own := w.desk.Account(t.AccountID); own != nil && own.Active {
		return own
	}
	return oldest
}

// notification is the mail that tells an agent of an event.
func (w *work) notification(account *store.MailAccount, t store.Ticket, a store.Activity, n notice, told story) store.Mail {
	m := w.newMail(store.MailNotification, account, t, a)
	m.To = []store.Address{{Name: n.agent.Name, Address: n.agent.Email}}
	m.Subject = w.s.keys.Subject(t.Subject, t.Number, w.tagPlace(t), false)
	m.References = []string{"ticket." + t.ID + "@" + domainOf(account.Address)}
	m.AutoSubmitted = "auto-generated"
	m.Text = told.because(n.reason, t, a)
	return m
}

// maxExcerpt bounds the part of an activity's text in a notification, in octets:
// enough to decide, and not a second copy of the mail for each agent.
const maxExcerpt = 1500

// story is what a notification says, but for its first line: the same for each
// agent who is told.
type story struct {
	reference, channel, subject string
	facts, excerpt, link        string
}

func (s *Service) story(desk *store.Desk, t store.Ticket, a store.Activity) story {
	told := story{reference: s.Reference(t.Number), subject: t.Subject, excerpt: excerpt(a)}
	if c := desk.Channel(t.ChannelID); c != nil {
		told.channel = " in " + c.Name
	}
	var b strings.Builder
	if author := authorLine(a); author != "" {
		fmt.Fprintf(&b, "From: %s\n", author)
	}
	if a.Auth != nil && a.Auth.Verdict != store.Verified {
		fmt.Fprintf(&b, "Sender: %s\n", a.Auth.Verdict)
	}
	for _, c := range a.Changes {
		fmt.Fprintf(&b, "%s: %s -> %s\n", c.Field, orNone(c.From), orNone(c.To))
	}
	if a.Comment != "" {
		fmt.Fprintf(&b, "%s\n", a.Comment)
	}
	told.facts = b.String()
	told.link = fmt.Sprintf("%s/tickets/%d", strings.TrimSuffix(s.opt.PublicURL, "/"), t.Number)
	return told
}

// replyMark begins every notification: what an agent writes above it, and
// nothing below, is his answer.
const replyMark = "[reply above this line]"

// invitation says what becomes of an agent's reply to a notification.
func invitation(t store.Ticket, a store.Activity) string {
	if goesOut(t, a) {
		return replyMark + " Your reply goes to the customer; #note on its first line keeps it a note."
	}
	return replyMark + " Your reply becomes a note."
}

// goesOut tells whether an agent's reply to the notification of an activity
// goes to the customer: to the customer's own word, and to an answer.
func goesOut(t store.Ticket, a store.Activity) bool {
	return t.Kind != store.KindInternal && t.SuggestedTicket == 0 &&
		(a.Type == store.TypeOutgoing || a.Type == store.TypeIncoming && a.Sender == store.SenderParticipant)
}

// because writes the story to an agent who is told for a reason. Who lost the
// ticket reads no more of it.
func (n story) because(reason string, t store.Ticket, a store.Activity) string {
	head := invitation(t, a) + "\n\n" + n.reference + ": " + headline(reason, a) + n.channel + "\n" + n.subject + "\n\n" + n.facts
	if n.excerpt != "" && reason != reasonLost {
		head += "\n" + n.excerpt + "\n"
	}
	return head + "\n" + n.link + "\n"
}

// headline says for people what an agent is told of.
func headline(reason string, a store.Activity) string {
	switch reason {
	case string(eventNew):
		return "new ticket"
	case string(eventHeld):
		if a.Sender == store.SenderParticipant {
			return "mail with another subject waits for this ticket"
		}
		return "mail of a stranger waits for this ticket"
	case string(eventFailed):
		return "an answer did not arrive"
	case string(eventEscalated):
		return "escalated, nothing happened in time"
	case string(eventWarned):
		if a.OriginalEvent == stepRespondBreach || a.OriginalEvent == stepResolveBreach {
			return "time is over"
		}
		return "time runs out"
	case reasonLost:
		return "moved out of your sight; it is not yours any more"
	case reasonBecame + roleOwner:
		return "you are the owner now"
	case reasonBecame + roleResponsible:
		return "you are responsible now"
	case reasonBecame + roleWatcher:
		return "you watch it now"
	case reasonMentioned:
		return "you were mentioned"
	case reasonMoved:
		return "moved here"
	case reasonReopened:
		return "reopened by a reply"
	}
	return happened(a)
}

// happened names an activity for people.
func happened(a store.Activity) string {
	switch a.Type {
	case store.TypeNote:
		return "new note"
	case store.TypeOutgoing:
		return "answered"
	case store.TypeStatusChange:
		return "changed"
	}
	return "new reply"
}

func authorLine(a store.Activity) string {
	switch {
	case a.Author.Name != "" && a.Author.Address != "":
		return a.Author.Name + " <" + a.Author.Address + ">"
	case a.Author.Address != "":
		return a.Author.Address
	}
	return a.Author.Name
}

func excerpt(a store.Activity) string {
	text := a.ReplyText
	if text == "" {
		text = a.Text
	}
	text = strings.TrimSpace(text)
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt], "") + " [...]"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// tell notifies agents of a mail that came in, and acknowledges it. Nobody is
// told by mail of a mail in his own name, be it his or not.
func (f *filing) tell(ctx context.Context, t store.Ticket, a store.Activity, e event) error {
	if f.handed != nil {
		e.actor = f.handed.agent.ID
	} else if agent := f.inName(); agent != nil {
		if f.Message.Automatic.Is { // two agents' machines would answer each other's notifications for ever
			return nil
		}
		e.actor = agent.ID
	}
	if e.held != 0 {
		waiting, err := f.tx.Ticket(ctx, e.held)
		if err != nil {
			return err
		}
		return f.notify(ctx, waiting, a, event{kind: eventHeld, actor: e.actor})
	}
	if err := f.notify(ctx, t, a, e); err != nil {
		return err
	}
	if e.kind != eventNew || e.quiet || f.acked {
		return nil
	}
	return f.acknowledge(ctx, t, a)
}
