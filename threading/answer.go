package threading

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// NewActivity is an entry that an agent adds to a ticket.
type NewActivity struct {
	Type          store.ActivityType // incoming, outgoing or note
	Medium        store.Medium
	AccountID     string // that it goes out from
	Answers       string // the activity that it answers
	Subject       string
	Text, HTML    string
	To, Cc, Bcc   []string // a nil To: whom the answer is for by itself
	Attachments   []File
	External      *bool
	Comment       string
	StatusID      *string // done in the same step
	OwnerID       *string
	ResponsibleID *string
	ChannelID     *string
	Priority      *store.Priority
	MarkerID      *string
	Minutes       int       // worked on it; 0: none are put down
	SendAt        time.Time // of an outgoing email: when it leaves; zero: at once
	DraftID       string    // the agent's draft that it is made of, and whose id it gets
}

// AddActivity adds an entry to a ticket that the agent sees. An outgoing one
// by e-mail is sent: its ledger rows are written in the same transaction.
// Errors: not_found, invalid with the field (no_address), conflict
// (no_account, merged), too_large.
func (s *Service) AddActivity(ctx context.Context, agent *store.Agent, number int64, n NewActivity) (store.Activity, error) {
	if err := n.check(); err != nil {
		return store.Activity{}, err
	}
	if err := s.checkSendAt(n.SendAt, n.Type == store.TypeOutgoing && n.Medium == store.MediumEmail); err != nil {
		return store.Activity{}, err
	}
	body, err := s.prepare(ctx, agent, n.Text, n.HTML, n.Attachments)
	if err != nil {
		return store.Activity{}, err
	}
	if body.empty() {
		return store.Activity{}, store.Invalid("text", "there is nothing in it")
	}
	var made store.Activity
	err = s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		if t.MergedInto != 0 {
			return s.wentInto(t)
		}
		if err := w.spend(ctx, agent, n.DraftID, body); err != nil {
			return err
		}
		e := &entry{work: w, agent: agent, n: n, body: body, t: &t}
		made = e.begin()
		return e.file(ctx, &made)
	})
	return made, err
}

// DefaultMedium gives the medium of what an agent writes without naming one; ""
// for a type that nobody writes.
func DefaultMedium(t store.ActivityType) store.Medium {
	switch t {
	case store.TypeIncoming:
		return store.MediumPhone
	case store.TypeOutgoing:
		return store.MediumEmail
	case store.TypeNote:
		return store.MediumInternal
	}
	return ""
}

// check reads what doesn't need the ticket.
func (n *NewActivity) check() error {
	subject, err := line("subject", n.Subject)
	if err != nil {
		return err
	}
	n.Subject = subject
	medium := DefaultMedium(n.Type)
	if medium == "" {
		return store.Invalid("type", "must be incoming, outgoing or note")
	}
	switch n.Medium {
	case "":
		n.Medium = medium
	case store.MediumEmail, store.MediumPhone, store.MediumLetter, store.MediumWeb, store.MediumPortal, store.MediumInternal:
	default:
		return store.Invalid("medium", "must be email, phone, letter, web, portal or internal")
	}
	return nil
}

// latest is how far ahead an answer may be written.
const latest = 366 * 24 * time.Hour

// checkSendAt refuses a time at which no mail can leave.
func (s *Service) checkSendAt(at time.Time, mail bool) error {
	now := s.now()
	switch {
	case at.IsZero():
		return nil
	case !mail:
		return store.Invalid("send_at", "only an outgoing email is sent")
	case !at.After(now):
		return store.Invalid("send_at", "has passed")
	case at.Sub(now) > latest:
		return store.Invalid("send_at", "is more than a year ahead")
	}
	return nil
}

// entry is one run of a transaction that adds an activity.
type entry struct {
	*work
	agent *store.Agent
	n     NewActivity
	body  content
	t     *store.Ticket
	kept  bool // the activity and its files are stored already
}

// begin makes the activity of what the agent said.
func (e *entry) begin() store.Activity {
	a := store.Activity{
		ID: store.NewID(), Ticket: e.t.Number, Type: e.n.Type, Medium: e.n.Medium, CreatedBy: e.agent.ID,
		Subject: e.n.Subject, Text: e.body.text, HTML: e.body.html, ReplyText: e.body.text, CreatedAt: e.now,
		Author: store.Author{Kind: store.AuthorAgent, ID: e.agent.ID, Name: e.agent.Name},
	}
	if e.n.DraftID != "" {
		a.ID = e.n.DraftID
	}
	a.Comment, a.SendAt = message.Clean(e.n.Comment), e.n.SendAt
	return a
}

// file writes the activity, and what goes out by it. What an agent asked for
// wrongly is found before anything is written.
func (e *entry) file(ctx context.Context, a *store.Activity) error {
	if e.n.Medium == store.MediumEmail && e.t.Kind == store.KindInternal {
		return store.Invalid("medium", "an internal ticket has no mail")
	}
	e.external(a)
	var out *answer
	if e.n.Type == store.TypeOutgoing && e.n.Medium == store.MediumEmail {
		var err error
		if out, err = e.address(ctx, a); err != nil {
			return err
		}
	} else if err := e.recorded(ctx, a); err != nil {
		return err
	}
	before := *e.t
	if err := e.alongside(a); err != nil {
		return err
	}
	if err := e.write(ctx, a); err != nil {
		return err
	}
	if out != nil {
		if err := e.dispatch(ctx, *e.t, a, out.account, e.body, out.answered, true); err != nil {
			return err
		}
	}
	if err := e.workedOn(ctx); err != nil {
		return err
	}
	told := turned(before, *e.t, e.agent)
	if a.Type == store.TypeIncoming {
		told.kind = eventIncoming
	}
	if err := e.mention(ctx, *e.t, *a, &told); err != nil {
		return err
	}
	if err := e.loseWatchers(ctx, *e.t, &told); err != nil {
		return err
	}
	return e.notify(ctx, *e.t, *a, told)
}

// workedOn puts down the minutes that the agent gave with it.
func (e *entry) workedOn(ctx context.Context) error {
	if e.n.Minutes == 0 {
		return nil
	}
	v := store.Worked{
		ID: store.NewID(), Ticket: e.t.Number, AgentID: e.agent.ID, CreatedBy: e.agent.ID, CreatedAt: e.now,
		Day: e.now.In(e.s.zone(e.agent)).Format(time.DateOnly),
	}
	if err := e.enter(&v, *e.t, Entry{Minutes: &e.n.Minutes}); err != nil {
		return err
	}
	return e.tx.PutWorked(ctx, v)
}

// write stores the activity and its files.
func (e *entry) write(ctx context.Context, a *store.Activity) error {
	if e.kept {
		if err := e.tx.UpdateActivity(ctx, *a); err != nil {
			return err
		}
		return e.tx.UpdateTicket(ctx, *e.t)
	}
	if err := e.history(ctx, e.t, a); err != nil {
		return err
	}
	return e.keep(ctx, *e.t, *a, e.body)
}

// external says whether the customer may see the activity in the portal.
func (e *entry) external(a *store.Activity) {
	a.External = a.Type != store.TypeNote
	if e.n.External != nil {
		a.External = *e.n.External
	}
	if e.t.Kind == store.KindInternal {
		a.External = false
	}
}

// recorded fills an entry that goes nowhere: a call, a letter, a note.
func (e *entry) recorded(ctx context.Context, a *store.Activity) error {
	for field, typed := range map[string][]string{"to": e.n.To, "cc": e.n.Cc, "bcc": e.n.Bcc} {
		if len(typed) > 0 {
			return store.Invalid(field, "only an outgoing email has recipients")
		}
	}
	switch a.Type {
	case store.TypeIncoming:
		a.Sender = store.SenderParticipant
		e.t.LastIncomingAt = e.now
		if contact, err := e.tx.Contact(ctx, e.t.ContactID); err == nil {
			a.Author = store.Author{Kind: store.AuthorContact, ID: contact.ID, Name: contact.Name}
		} else if !store.IsNotFound(err) {
			return err
		}
	case store.TypeOutgoing:
		e.t.LastOutgoingAt = e.now
	}
	return nil
}

// alongside does what the agent asked for in the same step, and what the
// channel says about the status.
func (e *entry) alongside(a *store.Activity) error {
	p := TicketPatch{StatusID: e.n.StatusID, OwnerID: e.n.OwnerID, ResponsibleID: e.n.ResponsibleID, ChannelID: e.n.ChannelID, Priority: e.n.Priority, MarkerID: e.n.MarkerID}
	changes, err := e.apply(e.t, p)
	if err != nil {
		return err
	}
	a.Changes = append(changes, e.turn(a.Type)...)
	return nil
}

// turn gives the ticket the status that the channel names for what the agent wrote,
// unless he named one. That is his change as well: who read the ticket before has
// read another one.
func (e *entry) turn(kind store.ActivityType) (changes []store.Change) {
	channel := e.desk.Channel(e.t.ChannelID)
	if e.n.StatusID != nil || channel == nil {
		return nil
	}
	switch kind {
	case store.TypeOutgoing:
		changes = setStatus(e.desk, e.t, channel.OnOutgoing, e.now)
	case store.TypeIncoming:
		changes = receive(e.desk, channel, e.t, e.now)
	}
	if len(changes) > 0 {
		e.t.Version++
	}
	return changes
}

// answer is where a mail goes and what it answers.
type answer struct {
	account  *store.MailAccount
	answered *store.Activity
}

// address fills From, To, Cc, Bcc and the subject of an outgoing mail.
func (e *entry) address(ctx context.Context, a *store.Activity) (*answer, error) {
	account, err := sendingAccount(e.desk, e.n.AccountID, e.desk.Channel(e.t.ChannelID), e.t.AccountID)
	if err != nil {
		return nil, err
	}
	answered, err := e.answered(ctx)
	if err != nil {
		return nil, err
	}
	if a.To, err = e.to(ctx, answered); err != nil {
		return nil, err
	}
	if a.Cc, err = recipients("cc", e.n.Cc); err != nil {
		return nil, err
	}
	if a.Bcc, err = recipients("bcc", e.n.Bcc); err != nil {
		return nil, err
	}
	if keptRecipients(answered) && e.n.To == nil {
		a.Cc, a.Bcc = merged(a.Cc, answered.Cc), merged(a.Bcc, answered.Bcc)
	}
	if e.n.To == nil && e.n.Cc == nil && copies(answered) {
		if err := e.copyParticipants(ctx, a, answered); err != nil {
			return nil, err
		}
	}
	if err := e.refuseOurselves(a.To, a.Cc, a.Bcc); err != nil {
		return nil, err
	}
	if err := e.fits(account, *e.t, e.body); err != nil {
		return nil, err
	}
	a.From = []store.Address{{Name: account.Name, Address: account.Address}}
	a.Author.Address, a.AccountID = account.Address, account.ID
	e.t.AccountID, e.t.LastOutgoingAt = account.ID, e.now
	if answered != nil {
		a.Answers = answered.ID
	}
	return &answer{account: account, answered: answered}, nil
}

// keptRecipients tells whether an activity was a call, and named whom the answer
// to it is for.
func keptRecipients(answered *store.Activity) bool {
	return answered != nil && answered.Medium != store.MediumEmail && len(answered.To)+len(answered.Cc)+len(answered.Bcc) > 0
}

// copies tells whether an answer to an activity goes to all who take part in
// the ticket: not one to a stranger, nor one whose recipients were named before.
func copies(answered *store.Activity) bool {
	return answered == nil || answered.Sender != store.SenderStranger && !keptRecipients(answered)
}

// answered gives the activity that the mail answers: the one that was named,
// else the newest that a participant wrote, and no machine; nil for none.
func (e *entry) answered(ctx context.Context) (*store.Activity, error) {
	if e.n.Answers != "" {
		a, err := e.tx.Activity(ctx, e.n.Answers)
		if store.IsNotFound(err) || err == nil && a.Ticket != e.t.Number {
			return nil, store.Invalid("answers", "there is no such activity in the ticket")
		}
		return &a, err
	}
	a, err := e.tx.LastIncoming(ctx, e.t.Number)
	if store.IsNotFound(err) {
		return nil, nil
	}
	return &a, err
}

// to gives whom the mail is for: as typed, else the author of what it answers,
// else the ticket's contact.
func (e *entry) to(ctx context.Context, answered *store.Activity) ([]store.Address, error) {
	if e.n.To != nil {
		list, err := recipients("to", e.n.To)
		if err == nil && len(list)+len(e.n.Cc)+len(e.n.Bcc) == 0 {
			err = noAddress()
		}
		return list, err
	}
	if list := replyAddresses(answered); len(list) > 0 {
		return list, nil
	}
	contact, err := e.tx.Contact(ctx, e.t.ContactID)
	if err != nil && !store.IsNotFound(err) {
		return nil, err
	}
	if len(contact.Emails) == 0 {
		return nil, noAddress()
	}
	return []store.Address{{Name: contact.Name, Address: contact.Emails[0].Address}}, nil
}

func noAddress() error {
	return &store.Error{Code: store.CodeInvalid, Reason: store.ReasonNoAddress, Field: "to", Message: "nobody's address is known; name one"}
}

// replyAddresses gives whom an answer to an activity goes to: of what we wrote
// ourselves its recipients, of a call what was noted with it, of a mail its
// Reply-To where that stays in the From's domain, else its author.
func replyAddresses(a *store.Activity) []store.Address {
	switch {
	case a == nil:
		return nil
	case (a.Type == store.TypeOutgoing || a.Medium != store.MediumEmail) && len(a.To) > 0:
		return a.To
	case len(a.ReplyTo) == 1 && !a.ReplyDiffers && sendable(a.ReplyTo[0].Address):
		return a.ReplyTo
	case sendable(a.Author.Address):
		return []store.Address{{Name: a.Author.Name, Address: a.Author.Address}}
	}
	return nil
}

func sendable(address string) bool {
	_, err := message.ParseAddress(address)
	return err == nil
}

// merged joins two lists of addresses, each address once.
func merged(list, more []store.Address) []store.Address {
	for _, b := range more {
		if !slices.ContainsFunc(list, func(a store.Address) bool { return strings.EqualFold(a.Address, b.Address) }) {
			list = append(list, b)
		}
	}
	return list
}

// refuseOurselves refuses a mail to an address of our own: it would come back
// as a new ticket.
func (w *work) refuseOurselves(to, cc, bcc []store.Address) error {
	for field, list := range map[string][]store.Address{"to": to, "cc": cc, "bcc": bcc} {
		for i, b := range list {
			if parsed, err := message.ParseAddress(b.Address); err == nil && w.ours(parsed) {
				return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "is an address of our own")
			}
		}
	}
	return nil
}

// sendingAccount chooses the account that a mail goes out from: the one that
// was named, the ticket's, the channel's, the only active one.
func sendingAccount(desk *store.Desk, named string, channel *store.Channel, last string) (*store.MailAccount, error) {
	if named != "" {
		if a := desk.Account(named); canSend(a) {
			return a, nil
		}
		return nil, store.Invalid("account_id", "there is no such active ticket account")
	}
	candidates := []string{last}
	if channel != nil {
		candidates = append(candidates, channel.AccountID)
	}
	for _, id := range candidates {
		if a := desk.Account(id); canSend(a) {
			return a, nil
		}
	}
	var only *store.MailAccount
	for i := range desk.Accounts {
		a := &desk.Accounts[i]
		if !canSend(a) {
			continue
		}
		if only != nil {
			return nil, &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount, Message: "several mail accounts could send it; name one"}
		}
		only = a
	}
	if only == nil {
		return nil, &store.Error{Code: store.CodeConflict, Reason: store.ReasonNoAccount, Message: "there is no active mail account to send with"}
	}
	return only, nil
}

// canSend tells whether an account writes to customers.
func canSend(a *store.MailAccount) bool {
	return a != nil && a.Active && a.Type == store.AccountTicket
}

// keep stores the files of what an agent wrote and makes it findable.
func (w *work) keep(ctx context.Context, t store.Ticket, a store.Activity, c content) error {
	for _, b := range c.blobs {
		if err := w.tx.AddBlob(ctx, b); err != nil {
			return err
		}
	}
	for i := range c.files {
		c.files[i].ActivityID, c.files[i].Ticket = a.ID, t.Number
	}
	if len(c.files) > 0 {
		if err := w.tx.AddAttachments(ctx, c.files); err != nil {
			return err
		}
	}
	return w.tx.Index(ctx, w.searched(t, a, c.files, c.words))
}

// searched is what an activity is found by: its words and addresses, those of
// its files that are in sight, and what else is known of the ticket.
func (w *work) searched(t store.Ticket, a store.Activity, files []store.Attachment, words []string) store.SearchEntry {
	e := store.SearchEntry{
		ActivityID: a.ID, Ticket: t.Number, Subject: a.Subject, Text: a.Text, Addresses: words, Reference: w.s.Reference(t.Number),
	}
	if e.Subject == "" {
		e.Subject = t.Subject
	}
	for _, list := range [][]store.Address{a.From, a.To, a.Cc, a.Bcc, {{Name: a.Author.Name, Address: a.Author.Address}}} {
		for _, b := range list {
			e.Addresses = append(e.Addresses, b.Name, b.Address)
		}
	}
	for _, f := range files {
		if !f.Hidden {
			e.Names = append(e.Names, f.Name)
		}
	}
	return e
}

// maxThread bounds the ids of a References field; outbound cuts it further.
const maxThread = 100

// dispatch writes the mail of an outgoing activity into the ledger.
func (w *work) dispatch(ctx context.Context, t store.Ticket, a *store.Activity, account *store.MailAccount, c content, answered *store.Activity, reply bool) error {
	m := w.newMail(store.MailAnswer, account, t, *a)
	m.To, m.Cc, m.Parts = a.To, a.Cc, c.parts()
	m.Text, m.HTML = c.outgoing(w.signature(t))
	m.Subject = w.subject(t, *a, answered, reply)
	if err := w.references(ctx, &m, t, answered); err != nil {
		return err
	}
	a.Subject, a.MessageID = m.Subject, m.MessageID
	if err := w.tx.UpdateActivity(ctx, *a); err != nil {
		return err
	}
	if err := w.tx.AddMessageRefs(ctx, []store.MessageRef{{MessageID: m.MessageID, ActivityID: a.ID, Ticket: t.Number, Kind: store.RefOwn}}); err != nil {
		return err
	}
	if err := w.addressed(ctx, t, *a); err != nil {
		return err
	}
	return w.send(ctx, account, m, addressesOf(a.To, a.Cc, a.Bcc))
}

// signature gives what the ticket's channel puts below an answer.
func (w *work) signature(t store.Ticket) string {
	if channel := w.desk.Channel(t.ChannelID); channel != nil {
		return channel.Signature
	}
	return ""
}

// fits refuses a mail that is larger than its account sends.
func (w *work) fits(account *store.MailAccount, t store.Ticket, c content) error {
	text, rich := c.outgoing(w.signature(t))
	size := 4*c.size/3 + int64(len(text)+len(rich))
	if account.MaxMessageBytes > 0 && size > account.MaxMessageBytes {
		return store.Errorf(store.CodeTooLarge, "the message has about %d bytes, the mail account sends at most %d", size, account.MaxMessageBytes)
	}
	return nil
}

// subject gives the subject on the wire: as typed, else that of the mail that
// is answered, else the ticket's.
func (w *work) subject(t store.Ticket, a store.Activity, answered *store.Activity, reply bool) string {
	place := w.tagPlace(t)
	switch {
	case reply && a.Subject == "" && answered != nil && answered.Medium == store.MediumEmail:
		subject := answered.Subject
		if subject == "" || answered.Hidden != nil {
			subject = t.Subject
		}
		return w.s.keys.Subject(subject, t.Number, place, true)
	case a.Subject == "":
		return w.s.keys.Subject(t.Subject, t.Number, place, false)
	}
	return w.s.keys.Subject(a.Subject, t.Number, place, isReply(a.Subject))
}

func isReply(subject string) bool {
	head, _, ok := cutColon(subject)
	return ok && isReplyPrefix(head)
}

// references fills In-Reply-To and References from the ticket's mail.
func (w *work) references(ctx context.Context, m *store.Mail, t store.Ticket, answered *store.Activity) error {
	if answered != nil {
		m.InReplyTo = answered.MessageID
	}
	ids, err := w.tx.Thread(ctx, t.Number, maxThread)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id.Type != store.TypeNote && id.MessageID != "" && id.MessageID != m.MessageID && id.MessageID != m.InReplyTo {
			m.References = append(m.References, id.MessageID)
		}
	}
	if m.InReplyTo != "" {
		m.References = append(m.References, m.InReplyTo)
	}
	return nil
}

// addressed makes whom a mail went to part of the conversation.
func (w *work) addressed(ctx context.Context, t store.Ticket, a store.Activity) error {
	list := participants(t.Number, store.Participant{Active: true, Trusted: true}, a.To, a.Cc)
	if len(list) == 0 {
		return nil
	}
	if err := w.tx.AddParticipants(ctx, list); err != nil {
		return err
	}
	for _, p := range list { // one that was switched off was chosen again
		if err := w.tx.SetParticipantActive(ctx, t.Number, p.Key, true); err != nil {
			return err
		}
	}
	return nil
}
