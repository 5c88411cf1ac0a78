package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"ticketgate/outbound"
	"ticketgate/store"
)

// keyPause is how often DNS is asked for keys that wait for their record.
const keyPause = 2 * time.Minute

// NewKey makes a DKIM key, its private half sealed, and stores nothing yet.
func (c *Core) NewKey(domain, selector, algorithm string) (store.DKIMKey, error) {
	k, private, err := outbound.GenerateKey(domain, selector, algorithm)
	if err != nil {
		return k, err
	}
	outbound.SealKey(c.Seal, &k, private)
	return k, nil
}

func recordOf(k store.DKIMKey) string { return outbound.Record(k) }

// ErrDNS tells that DNS did not answer, so that nothing is known about a key.
var ErrDNS = errors.New("DNS does not answer")

// CheckKey compares a key with what DNS shows: nil means that receivers verify
// what it signs.
func (c *Core) CheckKey(ctx context.Context, k store.DKIMKey) error {
	records, err := c.Resolver.TXT(ctx, outbound.RecordName(k))
	if err != nil && !isNotFound(err) {
		return ErrDNS
	}
	return outbound.CheckRecord(k, records)
}

// SetKeyState changes the state of a key.
func (c *Core) SetKeyState(ctx context.Context, k store.DKIMKey, state string, now time.Time) error {
	return c.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := tx.DKIMKey(ctx, k.ID)
		if err != nil {
			return err
		}
		fresh.State = state
		if state == store.DKIMActive {
			fresh.ActivatedAt = now.UTC()
		}
		return tx.PutDKIMKey(ctx, fresh)
	})
}

// Keys lists the DKIM keys of a domain, or of all for "", oldest first.
func (c *Core) Keys(ctx context.Context, domain string) (keys []store.DKIMKey, err error) {
	err = c.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		keys, err = tx.DKIMKeys(ctx, domain)
		return err
	})
	return keys, err
}

// activateKeys lets a key sign once DNS shows it, until ctx ends.
func activateKeys(ctx context.Context, c *Core, now func() time.Time, log *slog.Logger) {
	for ok := true; ok; ok = wait(ctx, keyPause) {
		keys, err := c.Keys(ctx, "")
		if err != nil {
			continue // the store's trouble is told elsewhere
		}
		for _, k := range keys {
			if k.State != store.DKIMNew || c.CheckKey(ctx, k) != nil {
				continue
			}
			if err := c.SetKeyState(ctx, k, store.DKIMActive, now()); err != nil {
				log.Warn("activate a DKIM key", "key", outbound.RecordName(k), "err", err)
				continue
			}
			log.Info("DKIM key signs: DNS shows its record", "key", outbound.RecordName(k))
		}
	}
}

// isNotFound tells that DNS knows no such name.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}
