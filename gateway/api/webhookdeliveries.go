package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"ticketgate/store"
)

// webhookDeliveryShape is a message to a webhook as clients read it.
type webhookDeliveryShape struct {
	ID            string                 `json:"id" doc:"the webhook-id, the same at each attempt"`
	Kind          string                 `json:"kind" doc:"of the event, or webhook.test"`
	Ticket        *int64                 `json:"ticket"`
	State         string                 `json:"state" enum:"waiting,delivered,failed"`
	Attempts      []store.WebhookAttempt `json:"attempts" doc:"the newest 20, oldest first"`
	NextAttemptAt *time.Time             `json:"next_attempt_at"`
	CreatedAt     time.Time              `json:"created_at"`
	Payload       json.RawMessage        `json:"payload" doc:"as it is sent"`
}

func webhookDeliveryOf(d store.WebhookDelivery) webhookDeliveryShape {
	s := webhookDeliveryShape{
		ID: d.ID, Kind: d.Kind, Ticket: numberOrNull(d.Ticket), State: string(d.State), Attempts: some(d.Attempts),
		CreatedAt: d.CreatedAt.UTC(), Payload: json.RawMessage(d.Body),
	}
	if d.State == store.WebhookWaiting {
		s.NextAttemptAt = when(d.NextAttemptAt)
	}
	return s
}

type webhookDeliveryQuery struct {
	OnThing
	Paging
	State string `query:"state" enum:"waiting,delivered,failed"`
}

func (a *api) listWebhookDeliveries(ctx context.Context, _ *call, in *webhookDeliveryQuery) (*page[webhookDeliveryShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[webhookDeliveryShape], error) {
		rows, next, err := tx.WebhookDeliveries(ctx, in.ID, store.WebhookState(in.State), in.Cursor, in.Limit)
		if err != nil {
			return nil, err
		}
		return mapped(rows, next, webhookDeliveryOf), nil
	})
}

// OnWebhookDelivery is the path of a message of a webhook.
type OnWebhookDelivery struct {
	OnThing
	DeliveryID string `path:"delivery_id" doc:"the message's webhook-id"`
}

func (a *api) findWebhookDelivery(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.WebhookDelivery(ctx, c.param("id"), c.param("delivery_id"))
		return err
	})
}

// retryWebhookDelivery has a message sent again, also one that arrived. While its
// webhook is off nothing is sent to it.
func (a *api) retryWebhookDelivery(ctx context.Context, _ *call, in *OnWebhookDelivery) (*answer[webhookDeliveryShape], error) {
	d, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (d store.WebhookDelivery, err error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return d, err
		}
		w := desk.Webhook(in.ID)
		if w == nil {
			return d, notFound()
		}
		if !w.Active {
			return d, newProblem(http.StatusConflict, "the webhook is switched off").because("webhook_off")
		}
		return tx.RetryWebhookDelivery(ctx, in.ID, in.DeliveryID, a.Now())
	})
	return &answer[webhookDeliveryShape]{Body: webhookDeliveryOf(d)}, err
}
