package gateway

import (
	"context"
	"time"

	"ticketgate/gateway/webhook"
	"ticketgate/store"
)

// secretOverlap is how long the secret signs that the file's takes the place of.
const secretOverlap = 24 * time.Hour

func (a *applier) webhooks() things[WebhookEntry, store.Webhook] {
	return things[WebhookEntry, store.Webhook]{
		kind: "webhook", entries: a.file.Webhooks, all: a.desk.Webhooks,
		entryName: func(e *WebhookEntry) string { return e.Name },
		name:      func(w *store.Webhook) string { return w.Name },
		fresh: func(name string, _ int) store.Webhook {
			return store.Webhook{ID: store.NewID(), Name: name, Active: true, CreatedAt: a.now}
		},
		fields: a.webhookFields, put: a.tx.PutWebhook,
		remove: func(ctx context.Context, w store.Webhook) error { return a.tx.DeleteWebhook(ctx, w.ID) },
	}
}

func (a *applier) webhookFields(d *difference, i int, w *store.Webhook, e *WebhookEntry) {
	setField(d, "url", &w.URL, e.URL)
	if err := webhook.CheckURL(w.URL, a.opt.Allow); err != nil {
		a.bad(pathOf("webhook", i, "url"), "%v", err)
	}
	a.eventList(d, w, e.Events)
	if len(w.Events) == 0 {
		a.bad(pathOf("webhook", i, "events"), "is missing: at least one")
	}
	a.channelList(d, pathOf("webhook", i, "channels"), &w.ChannelIDs, e.Channels)
	setField(d, "active", &w.Active, e.Active)
	if w.Active {
		w.DisabledAt = time.Time{}
	}
	a.webhookSecret(d, i, w, e)
}

// eventList is setList for the kinds of events.
func (a *applier) eventList(d *difference, w *store.Webhook, want *[]string) {
	var names []string
	for _, kind := range w.Events {
		names = append(names, string(kind))
	}
	setList(d, "events", &names, want)
	w.Events = nil
	for _, name := range names {
		w.Events = append(w.Events, store.EventKind(name))
	}
}

// webhookSecret takes over the file's secret. Without one a new webhook gets one
// of ours, which nobody has seen: it is shown by a rotation.
func (a *applier) webhookSecret(d *difference, i int, w *store.Webhook, e *WebhookEntry) {
	plain := e.secret.Reveal()
	if plain == "" {
		if len(w.Secrets) == 0 {
			w.Secrets = []store.WebhookSecret{webhook.SealSecret(a.opt.Seal, w.ID, webhook.NewSecret())}
		}
		return
	}
	if len(w.Secrets) > 0 {
		have, err := webhook.OpenSecret(a.opt.Seal, w.ID, w.Secrets[0])
		if err != nil {
			a.bad(pathOf("webhook", i, "secret"), "%v", err)
			return
		}
		if have == plain {
			return
		}
	}
	d.lines = append(d.lines, "secret: set")
	webhook.Rotate(w, webhook.SealSecret(a.opt.Seal, w.ID, plain), a.now, secretOverlap)
}
