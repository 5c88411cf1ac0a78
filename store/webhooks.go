package store

import (
	"context"
	"slices"
	"time"
)

// Webhook is an address outside that is told what happens to tickets.
type Webhook struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	URL        string          `json:"url"`
	Events     []EventKind     `json:"events"`      // which kinds it is told of, at least one
	ChannelIDs []string        `json:"channel_ids"` // of whose tickets; none: of all
	Active     bool            `json:"active"`
	Secrets    []WebhookSecret `json:"secrets"` // the newest first; all that have not ended sign
	Since      EventPosition   `json:"since"`   // told of what comes behind it
	CreatedAt  time.Time       `json:"created_at"`
	DisabledAt time.Time       `json:"disabled_at"` // when it was given up because nobody answered; zero: it was not
}

// WebhookSecret is one secret that a webhook's messages are signed with.
type WebhookSecret struct {
	Sealed []byte    `json:"sealed"` // under the master key
	Until  time.Time `json:"until"`  // signs no longer; zero: the one in use
}

// WebhookEvents are the kinds of events that a webhook can be told of: all but
// those for one agent alone.
func WebhookEvents() []EventKind {
	return []EventKind{EventTicketCreated, EventActivityCreated, EventActivityChanged, EventDeliveryChanged}
}

// Wants tells whether a webhook is told of an event.
func (w *Webhook) Wants(e Event) bool {
	if e.Kind == EventRuleMatched {
		return w.Active && w.ID == e.Data.Webhook && w.Since.Before(e.Position)
	}
	return w.Active && e.AgentID == "" && slices.Contains(w.Events, e.Kind) && w.Since.Before(e.Position) &&
		(len(w.ChannelIDs) == 0 || slices.Contains(w.ChannelIDs, e.ChannelID))
}

// PutWebhook adds or replaces a webhook; a name that another one has is a
// conflict (ReasonDuplicate). One that is new, or that was off, is told of what
// comes from now on: Since is set here.
func (tx *Tx) PutWebhook(ctx context.Context, w Webhook) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	before := desk.Webhook(w.ID)
	if w.Active && (before == nil || !before.Active) {
		if w.Since, err = tx.LastEvent(ctx); err != nil {
			return err
		}
		h, err := tx.WebhookHealth(ctx, w.ID)
		if err != nil {
			return err
		}
		if err := tx.putHealth(ctx, w.ID, WebhookHealth{DeliveredAt: h.DeliveredAt}); err != nil {
			return err
		}
	}
	return tx.putThing(ctx, thingWebhook, w.ID, w.Name, w)
}

// DeleteWebhook removes a webhook and all that it was to be told.
func (tx *Tx) DeleteWebhook(ctx context.Context, id string) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if err := desk.ruled(id); err != nil {
		return err
	}
	if err := tx.deleteThing(ctx, thingWebhook, "webhook", id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM webhook_health WHERE webhook_id = $1`, id); err != nil {
		return err
	}
	_, err = tx.exec(ctx, `DELETE FROM webhook_deliveries WHERE webhook_id = $1`, id)
	return err
}

// Webhook gives a webhook, or nil.
func (d *Desk) Webhook(id string) *Webhook {
	return thing(d.Webhooks, id, func(w *Webhook) string { return w.ID })
}

// WebhookHealth is how the receiver of a webhook is doing.
type WebhookHealth struct {
	Failures     int       // attempts that failed since the last that did not
	FailingSince time.Time // the first of them; zero: none
	PausedUntil  time.Time // it is left alone until then
	DeliveredAt  time.Time // the last that did not fail; zero: none yet
}

// WebhookHealth tells how the receiver of a webhook is doing.
func (tx *Tx) WebhookHealth(ctx context.Context, id string) (WebhookHealth, error) {
	return tx.health(ctx, id, "")
}

func (tx *Tx) health(ctx context.Context, id, lock string) (WebhookHealth, error) {
	all, err := list(ctx, tx, func(r Rows, h *WebhookHealth) error {
		return r.Scan(&h.Failures, at(&h.FailingSince), at(&h.PausedUntil), at(&h.DeliveredAt))
	}, `SELECT failures, failing_since, paused_until, delivered_at FROM webhook_health WHERE webhook_id = $1`+lock, id)
	if err != nil || len(all) == 0 {
		return WebhookHealth{}, err
	}
	return all[0], nil
}

func (tx *Tx) putHealth(ctx context.Context, id string, h WebhookHealth) error {
	_, err := tx.exec(ctx, `INSERT INTO webhook_health (webhook_id, failures, failing_since, paused_until, delivered_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (webhook_id) DO UPDATE SET failures = excluded.failures,
		failing_since = excluded.failing_since, paused_until = excluded.paused_until, delivered_at = excluded.delivered_at`,
		id, h.Failures, us(h.FailingSince), us(h.PausedUntil), us(h.DeliveredAt))
	return err
}
