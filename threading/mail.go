package threading

import (
	"context"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// newMail makes an outgoing message about a ticket's activity, with all that
// leads its answer back: a Message-ID and, where the account takes plus
// addresses, a Reply-To that carry the activity's token.
func (w *work) newMail(kind store.MailKind, account *store.MailAccount, t store.Ticket, a store.Activity) store.Mail {
	id := store.NewID()
	token := w.s.tokens.Activity(a.ID)
	m := store.Mail{ID: id, Kind: kind, AccountID: account.ID, ActivityID: a.ID, Ticket: t.Number, CreatedAt: w.now}
	m.From = store.Address{Name: account.Name, Address: account.Address}
	m.Date = w.now
	if a.SendAt.After(w.now) && kind == store.MailAnswer {
		m.Date = a.SendAt
	}
	m.MessageID = token + "." + strings.ReplaceAll(id, "-", "") + "@" + domainOf(account.Address)
	m.LoopMark = w.s.tokens.LoopMark(id)
	if account.PlusAddressing {
		m.ReplyTo = plus(account.Address, token)
	}
	return m
}

// domainOf gives the domain of an address of ours, as it goes on the wire.
func domainOf(address string) string {
	a, err := message.ParseAddress(address)
	if err != nil {
		return "localhost"
	}
	return message.DomainKey(a.Domain)
}

// plus adds an extension to an address, or gives "" where the local part would
// be over 64 octets (RFC 5321, 4.5.3.1.1).
func plus(address, extension string) string {
	a, err := message.ParseAddress(address)
	if err != nil || len(a.Local)+1+len(extension) > 64 {
		return ""
	}
	a.Name, a.Local = "", a.Local+"+"+extension
	return a.String()
}

// returnPath gives the envelope sender of one delivery.
func (w *work) returnPath(account *store.MailAccount, m store.Mail, delivery string) string {
	if m.Kind == store.MailAck || m.Kind == store.MailTemplate { // RFC 3834, 3.3
		return ""
	}
	base := account.BounceAddress
	if base == "" && account.PlusAddressing {
		base = account.Address
	}
	if base != "" {
		if path := plus(base, bouncePrefix+w.s.tokens.Delivery(delivery)); path != "" {
			return path
		}
	}
	return account.Address
}

// send writes a message and a ledger row for each recipient, and remembers its
// Message-ID. It leaves at its Date, which may be to come. Recipients that are addresses of our own are left out: mail to
// ourselves would come back as a new ticket.
func (w *work) send(ctx context.Context, account *store.MailAccount, m store.Mail, recipients []string) error {
	var rows []store.Delivery
	seen := map[string]bool{}
	for _, recipient := range recipients {
		to, err := message.ParseAddress(recipient)
		if err != nil || w.ours(to) || seen[to.Key()] {
			continue
		}
		seen[to.Key()] = true
		id := store.NewID()
		rows = append(rows, store.Delivery{
			ID: id, MailID: m.ID, Kind: m.Kind, ActivityID: m.ActivityID, Ticket: m.Ticket, AccountID: account.ID,
			Recipient: to.String(), RecipientKey: to.Key(), Domain: message.DomainKey(to.Domain),
			ReturnPath: w.returnPath(account, m, id), MessageID: m.MessageID, State: store.Queued,
			NextAttemptAt: m.Date, CreatedAt: m.Date, UpdatedAt: w.now,
		})
	}
	if len(rows) == 0 {
		if m.Kind == store.MailAnswer { // an answer to nobody must not look sent
			return noAddress()
		}
		return nil
	}
	if err := w.tx.AddMail(ctx, m, rows); err != nil {
		return err
	}
	for _, d := range rows {
		w.due = append(w.due, d.Due())
	}
	return nil
}

// mailAgent sends an agent a mail that is about no ticket, and that nothing can
// be answered to; its Message-ID begins with a word for what it is.
func (w *work) mailAgent(ctx context.Context, account *store.MailAccount, agent *store.Agent, what, subject, text string) error {
	m := w.newMail(store.MailNotification, account, store.Ticket{}, store.Activity{})
	m.ReplyTo, m.AutoSubmitted = "", "auto-generated"
	m.MessageID = what + "." + strings.ReplaceAll(m.ID, "-", "") + "@" + domainOf(account.Address)
	m.To = []store.Address{{Name: agent.Name, Address: agent.Email}}
	m.Subject, m.Text = subject, text
	return w.send(ctx, account, m, []string{agent.Email})
}

// ours tells whether an address, with or without an extension, is an account's.
func (w *work) ours(a message.Address) bool {
	found, _ := account(w.desk, a)
	return found != nil
}

// tagPlace gives where the ticket's channel wants the tag in subjects.
func (w *work) tagPlace(t store.Ticket) string {
	if c := w.desk.Channel(t.ChannelID); c != nil && c.SubjectTag != "" {
		return c.SubjectTag
	}
	return tagPrepend
}
