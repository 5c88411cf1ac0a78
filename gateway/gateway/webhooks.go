package gateway

import (
	"context"
	"fmt"

	"ticketgate/gateway/webhook"
	"ticketgate/store"
)

// openWebhooks makes what sends to webhooks; startJobs runs it.
func (d *Daemon) openWebhooks() (err error) {
	d.hooks, err = webhook.New(webhook.Options{
		DB: d.core.DB, Seal: d.core.Seal, Reference: d.core.Threading.Reference, Disable: d.core.Threading.DisableWebhook,
		Allow: d.config.WebhooksAllow, Version: d.opt.Version, Now: d.opt.Now, Log: d.log,
		Observe: func(result string) { d.metrics.webhooks.WithLabelValues(closed(hookResults, result)).Inc() },
	})
	if err == nil {
		d.end.pushClose("webhooks", func() error { d.hooks.Close(); return nil })
	}
	return err
}

// resealWebhooks brings the secrets of webhooks under the first master secret.
func (c *Core) resealWebhooks(ctx context.Context, tx *store.Tx) error {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	for _, w := range desk.Webhooks {
		changed, err := webhook.ResealSecrets(c.Seal, &w)
		if err != nil {
			return fmt.Errorf("secret of the webhook %s: %w", w.Name, err)
		}
		if !changed {
			continue
		}
		if err := tx.PutWebhook(ctx, w); err != nil {
			return err
		}
	}
	return nil
}
