package threading

import (
	"context"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// reasonWebhook is the reason of the notice that a webhook was switched off.
const reasonWebhook = "webhook_disabled"

// DisableWebhook switches off a webhook whose receiver is gone, and tells every
// admin, by event and by mail, in the same step. Of one that is off or not there
// nobody is told anything.
func (s *Service) DisableWebhook(ctx context.Context, id string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		hook := w.desk.Webhook(id)
		if hook == nil || !hook.Active {
			return nil
		}
		off := *hook
		off.Active, off.DisabledAt = false, w.now.UTC()
		if err := w.tx.PutWebhook(ctx, off); err != nil {
			return err
		}
		name := message.CleanLine(off.Name)
		return w.tellAdmins(ctx, reasonWebhook, "The webhook "+name+" was switched off",
			"The webhook "+name+" was switched off: for three days nobody answered it with success, or its receiver is gone.\n"+
				"What waits for it is kept for a while. Put its receiver right and switch it on again.")
	})
}

// tellAdmins tells every admin of something that is about no ticket. While there
// is no account to send with, it is an event alone.
func (w *work) tellAdmins(ctx context.Context, reason, subject, text string) error {
	account := w.notifier(store.Ticket{})
	for i := range w.desk.Agents {
		admin := &w.desk.Agents[i]
		if !admin.Active || admin.Role != store.RoleAdmin {
			continue
		}
		if err := w.tellAgent(ctx, admin.ID, 0, "", reason, text); err != nil {
			return err
		}
		if account == nil {
			continue
		}
		if err := w.mailAgent(ctx, account, admin, "notice", subject, text); err != nil {
			return err
		}
	}
	return nil
}
