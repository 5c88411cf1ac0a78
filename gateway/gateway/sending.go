package gateway

import (
	"context"
	"errors"
	"fmt"

	"ticketgate/outbound"
)

// sending is the way out: the queue, the keys and the workers.
type sending struct {
	service *outbound.Service
}

// startSending opens the queue and starts the workers. A Redis or a smarthost
// that can't be reached is no error: answers wait in the ledger.
func (d *Daemon) startSending(ctx context.Context) (*sending, error) {
	queue, err := outbound.OpenQueue(d.config.RedisURL.Reveal(), d.log)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	d.end.pushClose("queue", queue.Close)
	service, err := outbound.New(outbound.Options{
		DB: d.core.DB, Queue: queue, Keyring: outbound.NewKeyring(d.core.DB, d.core.Seal, d.opt.Now),
		Smarthost: d.config.Outbound.Smarthost.Reveal(), Hostname: d.config.Hostname,
		Workers: d.config.Outbound.Workers, MaxAge: d.config.Outbound.MaxAge,
		Log: d.log, Metrics: d.metrics.registry, Now: d.opt.Now,
		Outcome: d.core.Threading.DeliveryOutcome, Late: d.core.Threading.DeliveryLate,
	})
	if err != nil {
		return nil, fmt.Errorf("outbound.smarthost: %w", err)
	}
	if err := service.Start(ctx); err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	d.end.push("outbound", service.Stop)
	queued := service.Queued
	d.core.queued.Store(&queued)
	return &sending{service: service}, nil
}

// checks tell how the way out does; mail is taken whatever they find.
func (s *sending) checks() []check {
	return []check{
		{partRedis, func(ctx context.Context) error {
			if !s.service.Status(ctx).QueueOK {
				return errors.New("the queue cannot be reached: answers wait in the ledger")
			}
			return nil
		}},
		{partSmarthost, func(ctx context.Context) error {
			if !s.service.Status(ctx).SmarthostOK {
				return errors.New("the smarthost takes no mail: answers wait")
			}
			return nil
		}},
	}
}
