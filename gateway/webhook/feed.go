package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ticketgate/store"
)

// payload is the body of a message. It names what happened and holds nothing of
// it: who reads it asks the API, and is shown what he may see.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // of the event
	Data      data      `json:"data"`
}

type data struct {
	EventID    string              `json:"event_id,omitempty"` // as in the stream of events; rises
	Ticket     int64               `json:"ticket,omitempty"`
	Reference  string              `json:"reference,omitempty"`
	ChannelID  string              `json:"channel_id,omitempty"` // where the ticket lay when the message was made
	ActivityID string              `json:"activity_id,omitempty"`
	Fields     []string            `json:"fields,omitempty"`      // of activity.changed
	DeliveryID string              `json:"delivery_id,omitempty"` // of delivery.changed
	State      store.DeliveryState `json:"state,omitempty"`       // of delivery.changed
	WebhookID  string              `json:"webhook_id,omitempty"`  // of webhook.test
	RuleID     string              `json:"rule_id,omitempty"`     // of rule.matched
}

// KindTest is the type of a message that tells of nothing.
const KindTest = "webhook.test"

// feed puts what the journal tells since the last time into the outbox.
func (s *Service) feed(ctx context.Context) error {
	for {
		found := false
		err := s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			found, err = tx.AnyUntold(ctx)
			return err
		})
		if err != nil || !found {
			return err
		}
		taken := 0
		err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			taken, err = s.take(ctx, tx)
			return err
		})
		if err != nil || taken < feedBatch {
			return err
		}
	}
}

// take makes a message for every webhook that wants one of the next events, and
// tells how many events there were.
func (s *Service) take(ctx context.Context, tx *store.Tx) (int, error) {
	events, err := tx.UntoldEvents(ctx, feedBatch)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	desk, err := tx.Desk(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range events {
		for i := range desk.Webhooks {
			w := &desk.Webhooks[i]
			if !w.Wants(e) {
				continue
			}
			if err := tx.AddWebhookDelivery(ctx, s.message(w, e)); err != nil {
				return 0, err
			}
		}
	}
	return len(events), nil
}

// message makes what a webhook is told of an event.
func (s *Service) message(w *store.Webhook, e store.Event) store.WebhookDelivery {
	p := payload{Type: string(e.Kind), Timestamp: e.At.UTC(), Data: data{
		EventID: e.Position.String(), ChannelID: e.ChannelID, ActivityID: e.ActivityID,
		Fields: e.Data.Fields, DeliveryID: e.Data.DeliveryID, State: e.Data.State, RuleID: e.Data.Rule,
	}}
	if e.Ticket != 0 {
		p.Data.Ticket, p.Data.Reference = e.Ticket, s.opt.Reference(e.Ticket)
	}
	d := s.waiting(w, p)
	d.Event, d.Ticket = e.Position, e.Ticket
	return d
}

// waiting makes a message that is due now.
func (s *Service) waiting(w *store.Webhook, p payload) store.WebhookDelivery {
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("a webhook's message as JSON: %v", err)) // a fault of the program, which every test finds
	}
	now := s.opt.Now()
	return store.WebhookDelivery{
		ID: store.NewID(), WebhookID: w.ID, Kind: p.Type, Body: string(body), State: store.WebhookWaiting,
		NextAttemptAt: now, CreatedAt: now,
	}
}
