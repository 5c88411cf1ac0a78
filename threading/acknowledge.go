package threading

import (
	"context"
	"time"

	"ticketgate/store"
)

// defaultAckLimit is the number of automatic mails that one address gets in a
// day where the channel names none.
const defaultAckLimit = 5

// acknowledge writes the automatic first answer to a new ticket, where it may
// go out. It quotes no word of the submitter: whoever wrote the mail could
// have put somebody else's address on it.
func (f *filing) acknowledge(ctx context.Context, t store.Ticket, a store.Activity) error {
	will, _, err := f.mayAcknowledge(ctx, t, a)
	if err != nil || !will {
		return err
	}
	account := f.desk.Account(t.AccountID)
	m := f.newMail(store.MailAck, account, t, a)
	m.To = []store.Address{{Address: f.author.String()}}
	said := fill(f.receipt(t), f.ownValues(t))
	m.Subject, m.Text, m.HTML = f.s.keys.Tag(t.Number)+" "+said.Subject, said.Text, said.HTML
	m.AutoSubmitted = "auto-replied"
	m.InReplyTo = a.MessageID
	if a.MessageID != "" {
		m.References = []string{a.MessageID}
	}
	f.acked = true
	return f.send(ctx, account, m, []string{f.author.String()})
}

// receipt gives the words of an acknowledgement: the channel's template, or ours
// where it names none.
func (f *filing) receipt(t store.Ticket) store.Template {
	ours := store.Template{
		Subject: "We have received your message",
		Text: "We have received your message and will answer it as soon as we can.\n\n" +
			"Its number is {{ticket.reference}}. Please keep it in the subject when you write again.\n",
	}
	chosen := f.desk.Template(f.desk.Channel(t.ChannelID).Acknowledge.TemplateID)
	if chosen == nil {
		return ours
	}
	said := *chosen
	if said.Subject == "" {
		said.Subject = ours.Subject
	}
	return said
}

// mayAcknowledge decides whether a new ticket is acknowledged, and says why.
func (f *filing) mayAcknowledge(ctx context.Context, t store.Ticket, a store.Activity) (bool, string, error) {
	channel := f.desk.Channel(t.ChannelID)
	switch {
	case channel == nil || !channel.Acknowledge.Enabled:
		return false, "the channel acknowledges nothing", nil
	case f.Message.Automatic.Is:
		return false, "a machine wrote it", nil
	case f.From == "":
		return false, "it has the null sender", nil // RFC 3834, 2
	case !f.sole || f.Auth.Verdict != store.Verified:
		return false, "the sender is not verified", nil
	case f.agent() != nil:
		return false, "an agent wrote it", nil
	case f.mailed:
		return false, "the address was typed into a form", nil
	case a.Sender == store.SenderStranger:
		return false, "a stranger wrote it", nil
	case f.ours(f.author):
		return false, "it came from an address of our own", nil
	}
	return f.withinBudget(ctx, t, channel, f.author.Key(), 0)
}

// withinBudget holds the limits of automatic mail: per address and day, one only
// where the ticket has no known contact, and per hour for all. Acknowledgements
// and the answers of rules count together, and so do those that are only foreseen.
func (w *work) withinBudget(ctx context.Context, t store.Ticket, channel *store.Channel, key string, foreseen int) (bool, string, error) {
	limit := channel.AckLimit
	if limit == 0 {
		limit = defaultAckLimit
	}
	if contact, err := w.tx.Contact(ctx, t.ContactID); store.IsNotFound(err) || err == nil && contact.Provisional {
		limit = 1
	} else if err != nil {
		return false, "", err
	}
	if err := w.tx.Serialise(ctx, "ack "+key); err != nil { // the count holds over all nodes
		return false, "", err
	}
	kinds := []store.MailKind{store.MailAck, store.MailTemplate}
	sent, err := w.tx.CountAutomatic(ctx, key, kinds, w.now.Add(-24*time.Hour))
	if err != nil || sent+foreseen >= limit {
		return false, "the address had its acknowledgements of the day", err
	}
	all, err := w.tx.CountAutomatic(ctx, "", kinds, w.now.Add(-time.Hour))
	if err != nil || all+foreseen >= w.s.opt.AcksPerHour {
		return false, "the acknowledgements of the hour are used up", err
	}
	return true, "a verified sender's new ticket", nil
}
