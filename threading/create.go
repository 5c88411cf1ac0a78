package threading

import (
	"context"
	"fmt"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// NewTicket is a ticket that an agent makes. Empty fields take the defaults of
// the channel.
type NewTicket struct {
	Kind           store.TicketKind // email, enquiry or internal
	ChannelID      string           // of email: the account's, where it is empty
	AccountID      string           // of email and enquiry
	Subject        string
	Text, HTML     string
	To, Cc, Bcc    []string // of email; To is required
	ContactID      string   // of enquiry
	Contact        *NewContact
	Medium         store.Medium // of enquiry; default phone
	Attachments    []File
	Priority       store.Priority
	MarkerID       string
	OwnerID        string
	ResponsibleID  string
	Watchers       []string // agent ids
	StatusID       string
	Tags           []string
	ServiceLevelID string         // of its own; "": that of contact, company or channel
	Fields         map[string]any // of custom fields, by key, as in TicketPatch
	SendAt         time.Time      // of email: when the mail leaves; zero: at once
	DraftID        string         // the agent's draft that it is made of, and whose id it gets
}

// NewContact is a person that an agent names: looked up first, made if need be.
type NewContact struct {
	ExternalID string
	Name       string
	Email      string
	Phone      string
}

// CreateTicket makes a ticket of a kind that agents make, with its first
// activity and what is to go out, in one transaction. Errors: invalid with the
// field, conflict (no_account), too_large.
func (s *Service) CreateTicket(ctx context.Context, agent *store.Agent, n NewTicket) (store.Ticket, error) {
	subject, err := line("subject", n.Subject)
	if err != nil {
		return store.Ticket{}, err
	}
	if subject == "" {
		return store.Ticket{}, store.Invalid("subject", "is required")
	}
	n.Subject = subject
	if err := s.checkSendAt(n.SendAt, n.Kind == store.KindEmail); err != nil {
		return store.Ticket{}, err
	}
	body, err := s.prepare(ctx, agent, n.Text, n.HTML, n.Attachments)
	if err != nil {
		return store.Ticket{}, err
	}
	said := s.askOfTicket(ctx, n)
	var made store.Ticket
	create := func(ctx context.Context, w *work) (err error) {
		c := &creation{work: w, agent: agent, n: n, body: body, said: said}
		made, err = c.run(ctx)
		return err
	}
	err = twice(func() error { return s.do(ctx, create) })
	return made, err
}

// creation is one run of a transaction that makes a ticket.
type creation struct {
	*work
	agent   *store.Agent
	n       NewTicket
	body    content
	said    word // of the outside CRM about the customer
	channel *store.Channel
	account *store.MailAccount
	to, cc  []store.Address
	bcc     []store.Address
}

func (c *creation) run(ctx context.Context) (store.Ticket, error) {
	if err := c.spend(ctx, c.agent, c.n.DraftID, c.body); err != nil {
		return store.Ticket{}, err
	}
	kinds := map[store.TicketKind]func(context.Context) (store.Ticket, error){
		store.KindEmail: c.email, store.KindEnquiry: c.enquiry, store.KindInternal: c.internal,
	}
	make, ok := kinds[c.n.Kind]
	if !ok {
		return store.Ticket{}, store.Invalid("kind", "must be email, enquiry or internal")
	}
	return make(ctx)
}

func (c *creation) email(ctx context.Context) (store.Ticket, error) {
	if err := c.readRecipients(); err != nil {
		return store.Ticket{}, err
	}
	if len(c.to) == 0 {
		return store.Ticket{}, store.Invalid("to", "an email ticket needs a recipient")
	}
	if c.body.empty() {
		return store.Ticket{}, store.Invalid("text", "there is nothing to send")
	}
	if err := c.refuseOurselves(c.to, c.cc, c.bcc); err != nil {
		return store.Ticket{}, err
	}
	if err := c.chooseAccount(); err != nil {
		return store.Ticket{}, err
	}
	if c.n.ChannelID == "" {
		c.n.ChannelID = c.account.DefaultChannelID
	}
	t, err := c.ticket(ctx)
	if err != nil {
		return store.Ticket{}, err
	}
	if err := c.fits(c.account, t, c.body); err != nil {
		return store.Ticket{}, err
	}
	first, err := mailbox("to[0]", c.to[0].Address)
	if err != nil {
		return store.Ticket{}, err
	}
	first.Name = c.to[0].Name
	if err := c.contactOf(ctx, &t, first); err != nil {
		return store.Ticket{}, err
	}
	a := c.activity(&t, store.TypeOutgoing, store.MediumEmail)
	a.Author = store.Author{Kind: store.AuthorAgent, ID: c.agent.ID, Name: c.agent.Name, Address: c.account.Address}
	a.From = []store.Address{{Name: c.account.Name, Address: c.account.Address}}
	a.To, a.Cc, a.Bcc, a.External, a.AccountID, a.SendAt = c.to, c.cc, c.bcc, true, c.account.ID, c.n.SendAt
	if c.n.StatusID == "" {
		setStatus(c.desk, &t, c.channel.OnOutgoing, c.now)
	}
	t.AccountID, t.LastOutgoingAt = c.account.ID, c.now
	return c.store(ctx, t, &a, func(ctx context.Context) error {
		return c.dispatch(ctx, t, &a, c.account, c.body, nil, false)
	})
}

func (c *creation) enquiry(ctx context.Context) (store.Ticket, error) {
	if err := c.readRecipients(); err != nil {
		return store.Ticket{}, err
	}
	switch c.n.Medium {
	case "":
		c.n.Medium = store.MediumPhone
	case store.MediumPhone, store.MediumLetter, store.MediumWeb, store.MediumPortal, store.MediumEmail:
	default:
		return store.Ticket{}, store.Invalid("medium", "must be phone, letter, web, portal or email")
	}
	if err := c.refuseOurselves(c.to, c.cc, c.bcc); err != nil { // now, and not when the answer is written
		return store.Ticket{}, err
	}
	if c.n.AccountID != "" {
		if err := c.chooseAccount(); err != nil {
			return store.Ticket{}, err
		}
		if c.n.ChannelID == "" {
			c.n.ChannelID = c.account.DefaultChannelID
		}
	}
	t, err := c.ticket(ctx)
	if err != nil {
		return store.Ticket{}, err
	}
	contact, err := c.named(ctx)
	if err != nil {
		return store.Ticket{}, err
	}
	t.ContactID, t.CompanyID = contact.ID, contact.CompanyID
	a := c.activity(&t, store.TypeIncoming, c.n.Medium)
	a.Author = store.Author{Kind: store.AuthorContact, ID: contact.ID, Name: contact.Name}
	if len(contact.Emails) > 0 {
		a.Author.Address = contact.Emails[0].Address
	}
	a.Sender, a.External, a.To, a.Cc, a.Bcc = store.SenderParticipant, true, c.to, c.cc, c.bcc
	t.LastIncomingAt = c.now
	if c.account != nil {
		t.AccountID, a.AccountID = c.account.ID, c.account.ID
	}
	return c.store(ctx, t, &a, func(ctx context.Context) error {
		customer, err := message.ParseAddress(a.Author.Address)
		if err != nil {
			return nil // a caller without an address
		}
		return c.tx.AddParticipants(ctx, []store.Participant{{
			Ticket: t.Number, Key: customer.Key(), Address: customer.String(), Name: contact.Name, Active: true, Trusted: true,
		}})
	})
}

func (c *creation) internal(ctx context.Context) (store.Ticket, error) {
	for field, given := range map[string]bool{
		"to": len(c.n.To) > 0, "cc": len(c.n.Cc) > 0, "bcc": len(c.n.Bcc) > 0,
		"contact_id": c.n.ContactID != "", "contact": c.n.Contact != nil, "account_id": c.n.AccountID != "",
	} {
		if given {
			return store.Ticket{}, store.Invalid(field, "an internal ticket has no contact and no mail")
		}
	}
	t, err := c.ticket(ctx)
	if err != nil {
		return store.Ticket{}, err
	}
	a := c.activity(&t, store.TypeNote, store.MediumInternal)
	a.Author = store.Author{Kind: store.AuthorAgent, ID: c.agent.ID, Name: c.agent.Name}
	return c.store(ctx, t, &a, nil)
}

func (c *creation) readRecipients() (err error) {
	if c.to, err = recipients("to", c.n.To); err != nil {
		return err
	}
	if c.cc, err = recipients("cc", c.n.Cc); err != nil {
		return err
	}
	c.bcc, err = recipients("bcc", c.n.Bcc)
	return err
}

func (c *creation) chooseAccount() error {
	account, err := sendingAccount(c.desk, c.n.AccountID, c.desk.Channel(c.n.ChannelID), "")
	if err != nil {
		return err
	}
	c.account = account
	return nil
}

// ticket makes the row from what was asked for and the channel's defaults.
func (c *creation) ticket(ctx context.Context) (store.Ticket, error) {
	c.channel = c.desk.Channel(c.n.ChannelID)
	switch {
	case c.n.ChannelID == "":
		return store.Ticket{}, store.Invalid("channel_id", "is required")
	case c.channel == nil || !c.channel.Active:
		return store.Ticket{}, store.Invalid("channel_id", "there is no such active channel")
	}
	id := c.n.DraftID
	if id == "" {
		id = store.NewID()
	}
	t := store.Ticket{
		ID: id, Kind: c.n.Kind, Subject: c.n.Subject, ChannelID: c.channel.ID, StatusID: c.n.StatusID,
		Priority: c.n.Priority, MarkerID: c.n.MarkerID, OwnerID: c.n.OwnerID, ResponsibleID: c.n.ResponsibleID,
		CreatedBy: c.agent.ID, Tags: cleanTags(c.n.Tags), Version: 1, CreatedAt: c.now, UpdatedAt: c.now, StatusAt: c.now,
	}
	if t.OwnerID == "" {
		t.OwnerID = c.usable(c.channel.DefaultOwnerID, c.channel.ID)
	}
	if t.ResponsibleID == "" {
		t.ResponsibleID = c.usable(c.channel.DefaultResponsibleID, c.channel.ID)
	}
	if t.StatusID == "" {
		t.StatusID = c.channel.DefaultStatusID
	}
	if err := c.check(store.Ticket{}, &t); err != nil {
		return store.Ticket{}, err
	}
	if closedStatus(c.desk, t.StatusID) { // a call that was answered at once
		t.ClosedAt = c.now
	}
	number, err := c.tx.NextNumber(ctx)
	t.Number = number
	return t, err
}

func (c *creation) activity(t *store.Ticket, kind store.ActivityType, medium store.Medium) store.Activity {
	return store.Activity{
		ID: store.NewID(), Ticket: t.Number, Type: kind, Medium: medium, CreatedBy: c.agent.ID,
		Subject: t.Subject, Text: c.body.text, HTML: c.body.html, ReplyText: c.body.text, CreatedAt: c.now,
	}
}

// store writes the ticket, its first activity, and what goes out by it.
func (c *creation) store(ctx context.Context, t store.Ticket, a *store.Activity, out func(context.Context) error) (store.Ticket, error) {
	if err := c.tx.InsertTicket(ctx, t); err != nil {
		return t, err
	}
	values, err := c.patchFields(ctx, &t, c.n.Fields)
	if err != nil {
		return t, err
	}
	for _, v := range values {
		c.body.words = append(c.body.words, v.To)
	}
	if c.n.ServiceLevelID != "" {
		if _, err := c.patchLevel(ctx, &t, &c.n.ServiceLevelID); err != nil {
			return t, err
		}
	}
	t.Version = 1
	if err := c.history(ctx, &t, a); err != nil {
		return t, err
	}
	if err := c.keep(ctx, t, *a, c.body); err != nil {
		return t, err
	}
	t.Files = len(c.body.files)
	watchers, err := c.watch(ctx, t)
	if err != nil {
		return t, err
	}
	if out != nil {
		if err := out(ctx); err != nil {
			return t, err
		}
	}
	e := event{kind: eventNew, actor: c.agent.ID, became: watchers}
	if c.n.OwnerID != "" {
		e.became = append(e.became, tie{t.OwnerID, roleOwner})
	}
	if c.n.ResponsibleID != "" {
		e.became = append(e.became, tie{t.ResponsibleID, roleResponsible})
	}
	if err := c.mention(ctx, t, *a, &e); err != nil {
		return t, err
	}
	return t, c.notify(ctx, t, *a, e)
}

// watch has the agents watch the ticket who were named.
func (c *creation) watch(ctx context.Context, t store.Ticket) ([]tie, error) {
	var became []tie
	for i, id := range c.n.Watchers {
		if err := c.canWatch(fmt.Sprintf("watchers[%d]", i), id, t); err != nil {
			return nil, err
		}
		added, err := c.tx.AddWatcher(ctx, t.Number, id)
		if err != nil {
			return nil, err
		}
		if added {
			became = append(became, tie{id, roleWatcher})
		}
	}
	return became, nil
}
