package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"ticketgate/outbound"
	"ticketgate/store"
)

// Level says how bad a Finding is.
type Level string

// The levels: all is well, something is worth a look, something does not work.
const (
	LevelOK    Level = "ok"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
)

// Finding is one thing that Check looked at.
type Finding struct {
	Level Level
	Text  string
}

// findings gathers what was found.
type findings []Finding

func (f *findings) add(level Level, format string, args ...any) {
	*f = append(*f, Finding{level, fmt.Sprintf(format, args...)})
}

// checkTimeout bounds the whole look.
const checkTimeout = time.Minute

// Check looks at everything that a running daemon needs: services, keys, DNS.
// It makes no desk; what it opens it brings up to date, as every command does.
func Check(ctx context.Context, c *Config) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var f findings
	f.configuration(c)
	f.smarthost(ctx, c)
	f.redis(ctx, c)
	f.crm(ctx, c)
	f.addressBooks(ctx, c)
	f.oidc(ctx, c)
	core := f.store(ctx, c)
	if core == nil {
		return f
	}
	defer func() { _ = core.Close() }()
	f.blobs(ctx, core)
	f.desk(ctx, core)
	return f
}

func (f *findings) configuration(c *Config) {
	if c.File == "" {
		f.add(LevelOK, "configuration: no file, defaults and environment")
	} else {
		f.add(LevelOK, "configuration: %s", c.File)
	}
	for _, w := range c.Warnings {
		f.add(LevelWarn, "configuration: %s", w)
	}
}

// store opens the store, if there is one yet.
func (f *findings) store(ctx context.Context, c *Config) *Core {
	if c.StoreURL.Scheme() == "sqlite" {
		if _, err := os.Stat(c.StoreURL.Rest()); errors.Is(err, fs.ErrNotExist) {
			f.add(LevelWarn, "store: %s is not there yet, the first start makes it", c.StoreURL)
			return nil
		}
	}
	core, err := OpenCore(ctx, c, CoreOptions{Look: true})
	if err != nil {
		f.add(LevelError, "store: %v", err)
		return nil
	}
	f.add(LevelOK, "store: %s", c.StoreURL)
	return core
}

// blobs writes, reads and removes one.
func (f *findings) blobs(ctx context.Context, c *Core) {
	probe := []byte("ticketgate check " + store.NewID())
	sum := sha256.Sum256(probe)
	hash := hex.EncodeToString(sum[:])
	err := c.Blobs.Put(ctx, hash, probe)
	if err == nil {
		_, err = c.Blobs.Get(ctx, hash)
	}
	if err == nil {
		err = c.Blobs.Delete(ctx, hash)
	}
	if err != nil {
		f.add(LevelError, "blobs: %v", err)
		return
	}
	f.add(LevelOK, "blobs: %s", c.Config.BlobURL)
}

// redis reaches the queue, and asks how safe Redis keeps it.
func (f *findings) redis(ctx context.Context, c *Config) {
	if c.RedisURL.Reveal() == "embedded" {
		f.add(LevelOK, "redis: the queue is inside the daemon")
		return
	}
	queue, err := outbound.OpenQueue(c.RedisURL.Reveal(), slog.New(slog.DiscardHandler))
	if err == nil {
		err = errors.Join(queue.Ping(ctx), queue.Close())
	}
	if err != nil {
		f.add(LevelError, "redis: %s does not answer: answers would wait in the ledger", c.RedisURL)
		return
	}
	f.add(LevelOK, "redis: %s", c.RedisURL)
	f.redisSettings(ctx, c)
}

// smarthost greets the next hop. The default one that is not there is what a
// fresh machine has, and no error.
func (f *findings) smarthost(ctx context.Context, c *Config) {
	err := probeSmarthost(ctx, c.Outbound.Smarthost, c.Hostname)
	switch {
	case err == nil:
		f.add(LevelOK, "smarthost: %s", c.Outbound.Smarthost)
	case c.Outbound.Default:
		f.add(LevelWarn, "smarthost: none answers at %s, and outbound.smarthost names no other: answers wait", c.Outbound.Smarthost)
	default:
		f.add(LevelError, "smarthost: %s: %v", c.Outbound.Smarthost, err)
	}
}

// desk looks at accounts, and at the domains that they send from.
func (f *findings) desk(ctx context.Context, c *Core) {
	desk, err := c.DB.Desk(ctx)
	if err != nil {
		f.add(LevelError, "desk: %v", err)
		return
	}
	if !hasTicketAccount(desk) {
		f.add(LevelWarn, "desk: no mail account receives tickets")
	}
	keys, err := c.Keys(ctx, "")
	if err != nil {
		f.add(LevelError, "dkim: %v", err)
		return
	}
	if len(keys) == 0 {
		f.add(LevelWarn, "dkim: there is no key, answers leave unsigned: ticketgate dkim new DOMAIN")
	}
	*f = append(*f, CheckKeys(ctx, c, keys)...)
	for _, domain := range sendingDomains(desk) {
		f.sender(ctx, c, domain, keys)
	}
}
