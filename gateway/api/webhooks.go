package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ticketgate/gateway/webhook"
	"ticketgate/store"
)

// webhooks is what the API asks of who sends to webhooks.
type webhooks interface {
	// CheckURL refuses what can be no address of a webhook.
	CheckURL(text string) error
	// NewSecret makes a secret for the webhook of an id, plain and sealed.
	NewSecret(id string) (string, store.WebhookSecret)
	// Test sends a message at once and gives it with what came of it.
	Test(ctx context.Context, id string) (store.WebhookDelivery, error)
}

func (a *api) registerWebhooks() {
	if a.Webhooks == nil {
		return
	}
	kind := things[secretWebhook, webhookShape, webhookInput]{
		one: "webhook", many: "webhooks", path: "/webhooks", name: "webhook", order: "newest first", secret: true,
		all: func(d *store.Desk) (all []secretWebhook) {
			for _, w := range newestFirst(d.Webhooks) {
				all = append(all, secretWebhook{Webhook: w})
			}
			return all
		},
		id: func(w *secretWebhook) string { return w.ID }, shape: webhookOf, fresh: a.freshWebhook, apply: a.applyWebhook,
		put:    func(tx *store.Tx, ctx context.Context, w secretWebhook) error { return tx.PutWebhook(ctx, w.Webhook) },
		remove: (*store.Tx).DeleteWebhook,
	}
	kind.register(a)
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Webhook(id) != nil })
	add(a, route{id: "rotate-webhook", method: http.MethodPost, path: "/webhooks/{id}/rotate", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Give a webhook a new secret, shown here once; the old one signs beside it for a while"}, a.rotateWebhook)
	add(a, route{id: "test-webhook", method: http.MethodPost, path: "/webhooks/{id}/test", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Send a message of the type webhook.test now, and tell what came of it"}, a.testWebhook)
	add(a, route{id: "list-webhook-deliveries", method: http.MethodGet, path: "/webhooks/{id}/deliveries", tag: tagAdmin, find: find,
		summary: "What a webhook was and is to be told, newest first"}, a.listWebhookDeliveries)
	add(a, route{id: "retry-webhook-delivery", method: http.MethodPost, path: "/webhooks/{id}/deliveries/{delivery_id}/retry",
		tag: tagAdmin, find: a.findWebhookDelivery, status: http.StatusOK,
		summary: "Send a message again from the start, under the same webhook-id"}, a.retryWebhookDelivery)
}

// secretWebhook is a webhook with the secret that its answer shows once; "" else.
type secretWebhook struct {
	store.Webhook
	plain string
}

// webhookShape is a webhook as clients read it; Secret is there once.
type webhookShape struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	URL        string            `json:"url"`
	Events     []store.EventKind `json:"events"`
	ChannelIDs []string          `json:"channel_ids" doc:"of whose tickets it is told; none: of all"`
	Active     bool              `json:"active"`
	DisabledAt *time.Time        `json:"disabled_at" doc:"when it was switched off because its receiver was gone"`
	CreatedAt  time.Time         `json:"created_at"`
	Secret     string            `json:"secret,omitempty" doc:"in the answer that made it, and never again"`
}

func webhookOf(w secretWebhook) webhookShape {
	return webhookShape{
		ID: w.ID, Name: w.Name, URL: w.URL, Events: some(w.Events), ChannelIDs: some(w.ChannelIDs), Active: w.Active,
		DisabledAt: when(w.DisabledAt), CreatedAt: w.CreatedAt.UTC(), Secret: w.plain,
	}
}

// webhookInput is the body of POST and PATCH.
type webhookInput struct {
	Name       opt[string]   `json:"name" maxLength:"100" doc:"default: the URL"`
	URL        opt[string]   `json:"url" maxLength:"2000" doc:"https; a private network must stand in webhooks.allow"`
	Events     opt[[]string] `json:"events" minItems:"1" maxItems:"20" enum:"ticket.created,activity.created,activity.changed,delivery.changed"`
	ChannelIDs opt[[]string] `json:"channel_ids" maxItems:"200" doc:"of whose tickets it is told; none: of all"`
	Active     opt[bool]     `json:"active" doc:"default true; one that is switched on is told of what comes then"`
}

func (a *api) freshWebhook(*store.Desk) secretWebhook {
	w := store.Webhook{ID: store.NewID(), Active: true, CreatedAt: a.Now().UTC()}
	plain, sealed := a.Webhooks.NewSecret(w.ID)
	w.Secrets = []store.WebhookSecret{sealed}
	return secretWebhook{w, plain}
}

func (a *api) applyWebhook(in *webhookInput, desk *store.Desk, w *secretWebhook) []fieldError {
	var errs []fieldError
	if w.Name == w.URL {
		w.Name = "" // it follows
	}
	in.Name.into(&w.Name)
	in.URL.must(&w.URL, "url", &errs)
	in.ChannelIDs.into(&w.ChannelIDs)
	in.Active.must(&w.Active, "active", &errs)
	if in.Events.Sent {
		w.Events = nil
		for _, kind := range in.Events.Value {
			if !slices.Contains(w.Events, store.EventKind(kind)) {
				w.Events = append(w.Events, store.EventKind(kind))
			}
		}
	}
	if w.Name == "" {
		w.Name = w.URL
	}
	if w.Active {
		w.DisabledAt = time.Time{}
	}
	return append(errs, a.checkWebhook(w, desk)...)
}

func (a *api) checkWebhook(w *secretWebhook, desk *store.Desk) []fieldError {
	errs := refusals(a.Webhooks.CheckURL(w.URL))
	if len(w.Events) == 0 {
		errs = append(errs, fieldError{Field: "events", Message: "is required: at least one"})
	}
	for i, id := range w.ChannelIDs {
		if desk.Channel(id) == nil {
			errs = append(errs, fieldError{Field: "channel_ids[" + strconv.Itoa(i) + "]", Message: "there is no such channel"})
		}
	}
	return errs
}

type rotation struct {
	OnThing
	Body *struct {
		OverlapHours opt[int] `json:"overlap_hours" minimum:"0" maximum:"168" doc:"how long the old secret signs as well; default 24"`
	}
}

func (a *api) rotateWebhook(ctx context.Context, _ *call, in *rotation) (*answer[webhookShape], error) {
	hours := 24
	if in.Body != nil && in.Body.OverlapHours.Sent && !in.Body.OverlapHours.Null {
		hours = in.Body.OverlapHours.Value
	}
	plain, sealed := a.Webhooks.NewSecret(in.ID)
	w, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (secretWebhook, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return secretWebhook{}, err
		}
		have := desk.Webhook(in.ID)
		if have == nil {
			return secretWebhook{}, notFound()
		}
		w := *have
		webhook.Rotate(&w, sealed, a.Now(), time.Duration(hours)*time.Hour)
		return secretWebhook{w, plain}, tx.PutWebhook(ctx, w)
	})
	return &answer[webhookShape]{Body: webhookOf(w)}, err
}

func (a *api) testWebhook(ctx context.Context, _ *call, in *OnThing) (*answer[webhookDeliveryShape], error) {
	d, err := a.Webhooks.Test(ctx, in.ID)
	return &answer[webhookDeliveryShape]{Body: webhookDeliveryOf(d)}, err
}
