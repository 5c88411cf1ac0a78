package threading

import (
	"context"
	"strconv"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// bounce files a report about mail of ours on the activity that it is about.
// Only our own tokens are believed: the one in the return path, or the one in
// the returned mail's Message-ID. Without one it waits in the quarantine.
func (f *filing) bounce(ctx context.Context) error {
	reported, err := f.reported(ctx)
	if err != nil {
		return err
	}
	if len(reported) == 0 {
		return f.quarantine(ctx, f.accounts, "bounce")
	}
	if reported[0].Kind == store.MailNotification {
		return f.bouncedNotification(ctx, reported)
	}
	t, err := f.s.followed(ctx, f.tx, reported[0].Ticket)
	if err != nil {
		return err
	}
	a := f.bounceActivity(t.Number)
	mine, err := f.claimAll(ctx, f.accounts, store.DeliveryKey{ActivityID: a.ID, Ticket: a.Ticket})
	if err != nil || len(mine) == 0 {
		return err
	}
	for _, t := range mine {
		f.settle(t, Result{Outcome: OutcomeBounce, Ticket: a.Ticket, ActivityID: a.ID})
	}
	a.AccountID, a.EnvelopeTo = mine[0].account.ID, f.envelopeTo(mine)
	failed, err := f.applyBounce(ctx, reported, &a)
	if err != nil {
		return err
	}
	if err := f.history(ctx, &t, &a); err != nil {
		return err
	}
	if err := f.keepFiles(ctx, t, a); err != nil {
		return err
	}
	if !failed {
		return nil
	}
	return f.notify(ctx, t, a, event{kind: eventFailed})
}

// bouncedNotification notes that an agent's mailbox takes no mail, and tells
// nobody by mail: that notification would bounce as well, for ever.
func (f *filing) bouncedNotification(ctx context.Context, reported []store.Delivery) error {
	d := reported[0]
	mine, err := f.claimAll(ctx, f.accounts, store.DeliveryKey{ActivityID: d.ActivityID, Ticket: d.Ticket})
	if err != nil || len(mine) == 0 {
		return err
	}
	for _, t := range mine {
		f.settle(t, Result{Outcome: OutcomeBounce, Ticket: d.Ticket, ActivityID: d.ActivityID})
	}
	_, err = f.applyBounce(ctx, reported, &store.Activity{})
	return err
}

// reported gives the deliveries that the bounce is about.
func (f *filing) reported(ctx context.Context) ([]store.Delivery, error) {
	for _, t := range f.accounts {
		for _, token := range t.tokens {
			id, ok := f.s.deliveryToken(token)
			if !ok {
				continue
			}
			d, err := f.tx.Delivery(ctx, id)
			if err == nil {
				return []store.Delivery{d}, nil
			}
			if !store.IsNotFound(err) {
				return nil, err
			}
		}
	}
	return f.reportedByID(ctx)
}

// reportedByID follows the returned Message-ID to the deliveries of that mail,
// narrowed to the recipients that the report names.
func (f *filing) reportedByID(ctx context.Context) ([]store.Delivery, error) {
	for _, id := range f.Message.Bounce.ReturnedIDs {
		activity, ok := f.s.tokens.inMessageID(id)
		if !ok {
			continue
		}
		rows, _, err := f.tx.Deliveries(ctx, store.DeliveryFilter{ActivityID: activity, Limit: 200})
		if err != nil {
			return nil, err
		}
		var all, named []store.Delivery
		for _, d := range rows {
			if d.MessageID != id {
				continue
			}
			all = append(all, d)
			if f.names(d) {
				named = append(named, d)
			}
		}
		switch {
		case len(named) > 0:
			return named, nil
		case len(all) == 1: // the recipient forwards, and the report names where to
			return all, nil
		}
	}
	return nil, nil
}

// names tells whether the report is about a delivery's recipient; a report
// that names nobody is about all.
func (f *filing) names(d store.Delivery) bool {
	named := false
	for _, r := range f.Message.Bounce.Recipients {
		a, err := message.ParseAddress(r.Address)
		if err != nil {
			continue
		}
		named = true
		if a.Key() == d.RecipientKey {
			return true
		}
	}
	return !named
}

// applyBounce puts what the report says on the deliveries. It is false for a
// report of a delay, or of success.
func (f *filing) applyBounce(ctx context.Context, reported []store.Delivery, a *store.Activity) (bool, error) {
	failed := false
	for _, d := range reported {
		r, ok := f.report(d)
		if !ok {
			continue
		}
		failed = true
		if _, err := f.tx.BounceDelivery(ctx, d.ID, r.SMTPCode, r.Status, r.Text, r.Permanent); err != nil {
			return false, err
		}
		a.Answers = d.ActivityID
		a.Comment = strings.TrimSpace(strings.Join([]string{d.Recipient + ":", code(r.SMTPCode), r.Status, r.Text}, " "))
		if r.Permanent {
			if err := f.tx.MarkUndeliverable(ctx, d.RecipientKey, true); err != nil && !store.IsNotFound(err) {
				return false, err
			}
		}
	}
	return failed, nil
}

func code(c int) string {
	if c == 0 {
		return ""
	}
	return strconv.Itoa(c)
}

// report gives what the bounce says of a delivery, where it says that it failed.
func (f *filing) report(d store.Delivery) (message.BounceRecipient, bool) {
	list := f.Message.Bounce.Recipients
	for _, r := range list {
		if a, err := message.ParseAddress(r.Address); err == nil && a.Key() == d.RecipientKey {
			return r, isFailure(r)
		}
	}
	if len(list) == 0 {
		if f.Message.Automatic.Kind == "delay" {
			return message.BounceRecipient{}, false
		}
		return message.BounceRecipient{Action: "failed", Text: f.Message.Subject}, true
	}
	return list[0], isFailure(list[0])
}

func isFailure(r message.BounceRecipient) bool {
	return r.Action == "failed" || r.Action == "" && r.Permanent
}

func (f *filing) bounceActivity(ticket int64) store.Activity {
	a := f.activity(Decision{Sender: store.SenderStranger}, person{}, store.Ticket{Number: ticket})
	a.Author.Kind, a.External = store.AuthorSystem, false
	a.Match = &store.Match{By: "bounce", Signals: []store.Signal{}}
	return a
}
