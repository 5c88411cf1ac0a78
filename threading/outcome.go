package threading

import (
	"context"
	"fmt"
	"time"

	"ticketgate/store"
)

// DeliveryOutcome is told by the ledger's worker, inside its transaction, what
// became of a delivery. A failed answer is written into its ticket's history
// and told to the owner.
func (s *Service) DeliveryOutcome(ctx context.Context, tx *store.Tx, d store.Delivery, o store.Outcome) error {
	if now := s.now(); o.State == store.Sent && s.sent.due(d.AccountID, now) {
		if err := tx.TouchAccount(ctx, d.AccountID, time.Time{}, now); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.sent.note(d.AccountID, now) })
	}
	if d.Kind == store.MailNotification {
		return nil // a notification about a notification would never end
	}
	switch o.State {
	case store.Failure:
		return s.trouble(ctx, tx, d, fmt.Sprintf("The mail to %s failed: %s", d.Recipient, reason(d, o)))
	case store.Held:
		return s.trouble(ctx, tx, d, fmt.Sprintf("The mail to %s is held: %s", d.Recipient, reason(d, o)))
	}
	return nil
}

// DeliveryLate is told, once a delivery, that it has waited for long.
func (s *Service) DeliveryLate(ctx context.Context, tx *store.Tx, d store.Delivery) error {
	if d.Kind == store.MailNotification {
		return nil
	}
	return s.trouble(ctx, tx, d, fmt.Sprintf("The mail to %s could not be delivered yet: %s", d.Recipient, d.LastText))
}

func reason(d store.Delivery, o store.Outcome) string {
	if o.Attempt != nil && o.Attempt.Text != "" {
		return fmt.Sprintf("%d %s %s", o.Attempt.Code, o.Attempt.Enhanced, o.Attempt.Text)
	}
	if o.Reason != "" {
		return o.Reason
	}
	return d.Reason
}

// trouble writes an entry by the system and tells the owner.
func (s *Service) trouble(ctx context.Context, tx *store.Tx, d store.Delivery, text string) error {
	w, err := s.newWork(ctx, tx)
	if err != nil {
		return err
	}
	t, err := s.followed(ctx, tx, d.Ticket)
	if err != nil {
		return err
	}
	a := w.statusChange(t, nil, []store.Change{{Field: "delivery", From: string(store.Sending), To: string(d.State)}})
	a.Answers, a.Comment = d.ActivityID, text
	if err := w.history(ctx, &t, &a); err != nil {
		return err
	}
	if err := w.notify(ctx, t, a, event{kind: eventFailed}); err != nil {
		return err
	}
	return w.done(ctx)
}
