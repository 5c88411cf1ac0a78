package threading

import (
	"context"
	"strings"
	"testing"

	"ticketgate/store"
)

func TestDisableWebhook(t *testing.T) {
	d := newDesk(t)
	hook := store.Webhook{ID: store.NewID(), Name: "chat", URL: "https://chat.example", Events: store.WebhookEvents(), Active: true}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutWebhook(ctx, hook) })
	before := d.queued
	for range 2 { // two nodes find out
		if err := d.DisableWebhook(d.ctx, hook.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.DisableWebhook(d.ctx, store.NewID()); err != nil {
		t.Errorf("of one that is not there: %v", err)
	}
	if w := d.desk().Webhook(hook.ID); w.Active || !w.DisabledAt.Equal(d.now) {
		t.Errorf("it is %+v", w)
	}
	_, mails := d.deliveries(0, store.MailNotification)
	if len(mails) != 1 || mails[0].To[0].Address != d.admin.Email || !strings.Contains(mails[0].Subject, "webhook chat was switched off") ||
		mails[0].AutoSubmitted != "auto-generated" || mails[0].ReplyTo != "" || len(d.queued) != len(before)+1 {
		t.Errorf("mails: %+v, queued %d", mails, len(d.queued))
	}
	var notices []store.Event
	d.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Events(ctx, store.EventPosition{}, 100)
		for _, e := range all {
			if e.Kind == store.EventAgentNotice {
				notices = append(notices, e)
			}
		}
		return err
	})
	if len(notices) != 1 || notices[0].AgentID != d.admin.ID || notices[0].Data.Reason != "webhook_disabled" {
		t.Errorf("notices: %+v", notices)
	}
}
