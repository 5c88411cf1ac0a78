package webhook

import (
	"context"
	"strings"
	"sync"
	"time"

	"ticketgate/store"
)

// sendAll sends to a webhook what is due, until nothing is, or ctx ends.
func (s *Service) sendAll(ctx context.Context, id string) {
	for ctx.Err() == nil {
		w, claimed, err := s.claim(ctx, id)
		if err != nil && ctx.Err() == nil {
			s.opt.Log.WarnContext(ctx, "a webhook waits: its messages can't be claimed", "webhook_id", id, "err", err)
			s.rest(ctx)
		}
		if err != nil || len(claimed) == 0 {
			return
		}
		var sending sync.WaitGroup
		for _, d := range claimed {
			sending.Go(func() {
				// What has begun is brought to its end, so that nothing is sent again
				// only because this node stops.
				_ = s.send(context.WithoutCancel(ctx), w, d, true) // it was logged, and is sent again
			})
		}
		sending.Wait()
	}
}

// rest keeps what fails from being tried without a pause.
func (s *Service) rest(ctx context.Context) {
	pause := time.NewTimer(s.opt.Poll)
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-pause.C:
	}
}

// claim gives the webhook as it is now, and what this node is to send to it.
func (s *Service) claim(ctx context.Context, id string) (w *store.Webhook, claimed []store.WebhookDelivery, err error) {
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, claimed = nil, nil
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if w = desk.Webhook(id); w == nil || !w.Active {
			return nil
		}
		now := s.opt.Now()
		claimed, err = tx.ClaimWebhookDeliveries(ctx, id, now, now.Add(lease), together)
		return err
	})
	return w, claimed, err
}

// send makes one attempt and writes what came of it. Where it is not to be tried
// again, a failure is final.
func (s *Service) send(ctx context.Context, w *store.Webhook, d store.WebhookDelivery, again bool) error {
	r := s.attempt(ctx, w, d)
	r.At = s.opt.Now()
	o := store.WebhookOutcome{Attempt: r.WebhookAttempt, Delivered: r.Error == ""}
	if !o.Delivered && again && !r.gone {
		o.Next = s.next(d, r)
	}
	h, ok, err := s.finish(ctx, d, o)
	if err != nil {
		s.opt.Log.WarnContext(ctx, "what came of a webhook's message was not written; it is sent again",
			"webhook_id", w.ID, "message", d.ID, "err", err)
		return err
	}
	if ok && again && (r.gone || !h.FailingSince.IsZero() && r.At.Sub(h.FailingSince) >= giveUp) {
		s.disable(ctx, w)
	}
	return nil
}

// finish writes the outcome of an attempt; ok is false where it counts no more.
func (s *Service) finish(ctx context.Context, d store.WebhookDelivery, o store.WebhookOutcome) (h store.WebhookHealth, ok bool, err error) {
	if o.Delivered {
		s.opt.Observe(ResultDelivered)
	} else {
		s.opt.Observe(ResultFailed)
	}
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := tx.WebhookHealth(ctx, d.WebhookID)
		if err != nil {
			return err
		}
		o.Pause = o.Attempt.At.Add(pauseAfter(before.Failures))
		h, ok, err = tx.FinishWebhookDelivery(ctx, d, o)
		return err
	})
	return h, ok, err
}

func (s *Service) disable(ctx context.Context, w *store.Webhook) {
	if err := s.opt.Disable(ctx, w.ID); err != nil {
		s.opt.Log.WarnContext(ctx, "a webhook whose receiver is gone is not switched off yet", "webhook_id", w.ID, "err", err)
		return
	}
	s.opt.Log.ErrorContext(ctx, "a webhook was switched off: its receiver is gone", "webhook_id", w.ID, "name", w.Name)
}

// delays are the pauses between the attempts of one message.
var delays = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// giveUp is how long a receiver may fail, and nothing but fail, before its
// webhook is switched off.
const giveUp = 72 * time.Hour

// next is when a message is tried again after an attempt that failed: never,
// which is the zero time, after ten within a little more than three days. A
// receiver may ask for more time.
func (s *Service) next(d store.WebhookDelivery, r result) time.Time {
	if d.Tries >= len(delays) {
		return time.Time{}
	}
	delay := delays[d.Tries]
	delay += time.Duration(float64(delay) * 0.2 * (s.opt.Jitter() - 0.5))
	return r.At.Add(max(delay, r.retryAfter))
}

// pauseAfter is how long a receiver is left alone that fails again after as many
// failures in a row.
func pauseAfter(failures int) time.Duration {
	return min(5*time.Second<<min(failures, 6), 5*time.Minute)
}

// Test sends a message of the type webhook.test at once, whether the webhook is
// active or not, and gives it with what came of it. It is not tried again.
// Errors: not_found, unavailable.
func (s *Service) Test(ctx context.Context, id string) (store.WebhookDelivery, error) {
	var d store.WebhookDelivery
	var w *store.Webhook
	err := s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if w = desk.Webhook(id); w == nil {
			return store.Errorf(store.CodeNotFound, "no such webhook")
		}
		d = s.waiting(w, payload{Type: KindTest, Timestamp: s.opt.Now().UTC(), Data: data{WebhookID: w.ID}})
		d.Fence, d.NextAttemptAt = 1, d.CreatedAt.Add(lease)
		return tx.AddWebhookDelivery(ctx, d)
	})
	if err != nil {
		return d, err
	}
	if err := s.send(context.WithoutCancel(ctx), w, d, false); err != nil {
		return d, err
	}
	err = s.opt.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = tx.WebhookDelivery(ctx, id, d.ID)
		return err
	})
	return d, err
}

// userAgent names the program.
func (s *Service) userAgent() string { return strings.TrimSuffix("ticketgate/"+s.opt.Version, "/") }
