package threading

import (
	"context"

	"ticketgate/store"
)

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
		ActivityID: a.ID, Subject: a.Subject, Text: a.Text, Addresses: words, Reference: w.s.Reference(t.Number),
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
