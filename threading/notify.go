package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ticketgate/store"
)

// eventKind says what agents are told of.
type eventKind string

// The events.
const (
	eventNew      eventKind = "new"      // a new ticket
	eventIncoming eventKind = "incoming" // a customer's word
	eventActivity eventKind = "activity" // an answer, a note, a change
	eventHeld     eventKind = "held"     // a stranger's mail waits for the ticket
	eventFailed   eventKind = "failed"   // an answer did not arrive
)

// event is something that happened to a ticket.
type event struct {
	kind     eventKind
	actor    string   // agent id of who did it, or ""
	assigned []string // agent ids who became owner or responsible by it
	lost     []string // agent ids who were, and don't see the channel that it moved to
	held     int64    // of a new ticket: the ticket that its mail waits for
	reopened bool
	quiet    bool // no acknowledgement: another ticket of the same mail had it
}

// The roles by which an agent is told, as they stand in Agent.Notify.
const (
	roleOwner       = "owner"
	roleResponsible = "responsible"
	roleSubscriber  = "subscriber"
)

// The choices of an agent, per role.
const (
	notifyNone     = "none"
	notifyRelevant = "relevant" // subscribers: what customers write, and failures
)

// notices gives the agents who are told of an event, in a fixed order, each
// once: owner, responsible and standard subscribers, never who did it, never
// an informal subscriber as such, nobody who doesn't see the channel, nobody
// in all the roles in which he asked not to be.
func notices(desk *store.Desk, t store.Ticket, e event) []*store.Agent {
	var list []*store.Agent
	seen := map[string]bool{e.actor: true, "": true}
	add := func(id, role string) {
		agent := desk.Agent(id)
		if agent == nil || !agent.Active || seen[id] || !desk.Sees(id, t.ChannelID) || !wants(agent, role, e) {
			return
		}
		seen[id] = true
		list = append(list, agent)
	}
	add(t.OwnerID, roleOwner)
	if (e.kind == eventHeld || e.kind == eventFailed) && len(list) > 0 {
		return list // the owner, else the others
	}
	if e.kind != eventHeld {
		add(t.ResponsibleID, roleResponsible)
	}
	for _, agent := range desk.Subscribers(t.ChannelID, store.SubscriptionStandard) {
		add(agent.ID, roleSubscriber)
	}
	return list
}

func wants(agent *store.Agent, role string, e event) bool {
	switch agent.Notify[role] {
	case notifyNone:
		return false
	case notifyRelevant:
		return e.kind != eventActivity
	}
	return true
}

// notify writes a mail to each agent who is told of an event. While there is
// no account to send with nobody is told by mail.
func (w *work) notify(ctx context.Context, t store.Ticket, a store.Activity, e event) error {
	account := w.notifier(t)
	if account == nil {
		return nil
	}
	agents := append(notices(w.desk, t, e), w.losers(t, e)...)
	if len(agents) == 0 {
		return nil
	}
	told := w.s.story(w.desk, t, a)
	for _, agent := range agents {
		if err := w.send(ctx, account, w.notification(account, agent, t, a, e, told), []string{agent.Email}); err != nil {
			return err
		}
	}
	return nil
}

// losers gives those who lost a ticket by its move: they are told so, once.
func (w *work) losers(t store.Ticket, e event) []*store.Agent {
	var list []*store.Agent
	for _, id := range e.lost {
		if a := w.desk.Agent(id); a != nil && a.Active && id != e.actor && !slices.Contains(list, a) && !w.desk.Sees(id, t.ChannelID) {
			list = append(list, a)
		}
	}
	return list
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
func (w *work) notification(account *store.MailAccount, agent *store.Agent, t store.Ticket, a store.Activity, e event, told story) store.Mail {
	m := w.newMail(store.MailNotification, account, t, a)
	m.To = []store.Address{{Name: agent.Name, Address: agent.Email}}
	m.Subject = w.s.keys.Subject(t.Subject, t.Number, w.tagPlace(t), false)
	m.References = []string{"ticket." + t.ID + "@" + domainOf(account.Address)}
	m.AutoSubmitted = "auto-generated"
	m.Text = told.to(agent, t, a, e)
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

// to writes the story to one agent. Who lost the ticket reads no more of it.
func (n story) to(agent *store.Agent, t store.Ticket, a store.Activity, e event) string {
	head := invitation(t, a) + "\n\n" + n.reference + ": " + headline(agent, t, a, e) + n.channel + "\n" + n.subject + "\n\n" + n.facts
	if n.excerpt != "" && !slices.Contains(e.lost, agent.ID) {
		head += "\n" + n.excerpt + "\n"
	}
	return head + "\n" + n.link + "\n"
}

func headline(agent *store.Agent, t store.Ticket, a store.Activity, e event) string {
	switch {
	case e.kind == eventNew:
		return "new ticket"
	case e.kind == eventHeld && a.Sender == store.SenderParticipant:
		return "mail with another subject waits for this ticket"
	case e.kind == eventHeld:
		return "mail of a stranger waits for this ticket"
	case e.kind == eventFailed:
		return "an answer did not arrive"
	case slices.Contains(e.lost, agent.ID):
		return "moved out of your sight; it is not yours any more"
	case slices.Contains(e.assigned, agent.ID) && t.OwnerID == agent.ID:
		return "you are the owner now"
	case slices.Contains(e.assigned, agent.ID):
		return "you are responsible now"
	case e.reopened:
		return "reopened by a reply"
	case a.Type == store.TypeNote:
		return "new note"
	case a.Type == store.TypeOutgoing:
		return "answered"
	case a.Type == store.TypeStatusChange:
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
