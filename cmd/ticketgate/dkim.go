package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"ticketgate/gateway/gateway"
	"ticketgate/outbound"
	"ticketgate/store"
	"ticketgate/threading/message"
)

type dkimCommand struct {
	New      dkimNewCommand      `cmd:"" help:"Make a key and print its DNS record."`
	List     dkimListCommand     `cmd:"" help:"List the keys."`
	Check    dkimCheckCommand    `cmd:"" help:"Compare the keys with DNS."`
	Activate dkimActivateCommand `cmd:"" help:"Sign with a key from now on, whether DNS shows it or not."`
	Retire   dkimRetireCommand   `cmd:"" help:"Sign with a key no more; its record must stay in DNS for mail under way."`
}

type dkimNewCommand struct {
	Domain    string `arg:"" help:"The domain of the senders' addresses."`
	Selector  string `help:"Default: of the day and the algorithm."`
	Algorithm string `help:"rsa (2048 bits) or ed25519." enum:"rsa,ed25519" default:"rsa"`
	Activate  bool   `help:"Sign at once; else as soon as DNS shows the record."`
}

// Run prints the line for the zone file.
func (c *dkimNewCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	now := w.now().UTC()
	if c.Selector == "" {
		c.Selector = "tg" + now.Format("20060102") + c.Algorithm[:1]
	}
	k, err := core.NewKey(c.Domain, c.Selector, c.Algorithm)
	if err != nil {
		return err
	}
	if c.Activate {
		k.State, k.ActivatedAt = store.DKIMActive, now
	}
	err = core.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, k) })
	if store.ReasonOf(err) == store.ReasonDuplicate {
		return fmt.Errorf("%s has a key with the selector %s already: choose another with --selector", k.Domain, k.Selector)
	}
	if err != nil {
		return err
	}
	return w.say("%s", outbound.Record(k))
}

type dkimListCommand struct {
	Domain string `arg:"" optional:"" help:"Only the keys of this domain."`
}

// Run prints a line a key.
func (c *dkimListCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	keys, err := core.Keys(ctx, message.DomainKey(c.Domain))
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w.stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "DOMAIN\tSELECTOR\tALGORITHM\tSTATE\tMADE") // Flush tells of errors
	for _, k := range keys {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", k.Domain, k.Selector, k.Algorithm, k.State, k.CreatedAt.Format(time.DateOnly))
	}
	return table.Flush()
}

type dkimCheckCommand struct {
	Domain string `arg:"" optional:"" help:"Only the keys of this domain."`
}

// Run prints a line a key, and fails when one that signs is not in DNS.
func (c *dkimCheckCommand) Run(ctx context.Context, w *world) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	keys, err := core.Keys(ctx, message.DomainKey(c.Domain))
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return w.say("warn   there is no DKIM key: make one with \"ticketgate dkim new DOMAIN\"")
	}
	return w.findings(gateway.CheckKeys(ctx, core, keys))
}

// keyChoice names a key: by its domain, and its selector where there are several.
type keyChoice struct {
	Domain   string `arg:"" help:"The key's domain, or SELECTOR._domainkey.DOMAIN."`
	Selector string `help:"Which of the domain's keys."`
}

type dkimActivateCommand struct{ keyChoice }

// Run lets the key sign.
func (c *dkimActivateCommand) Run(ctx context.Context, w *world) error {
	return c.move(ctx, w, store.DKIMActive)
}

type dkimRetireCommand struct{ keyChoice }

// Run lets the key sign no more.
func (c *dkimRetireCommand) Run(ctx context.Context, w *world) error {
	return c.move(ctx, w, store.DKIMRetired)
}

func (c *keyChoice) move(ctx context.Context, w *world, state string) error {
	core, err := w.core(ctx)
	if err != nil {
		return err
	}
	defer w.close(core)
	k, err := c.find(ctx, core, state)
	if err != nil {
		return err
	}
	if err := core.SetKeyState(ctx, k, state, w.now()); err != nil {
		return err
	}
	return w.say("%s is %s", outbound.RecordName(k), state)
}

// find gives the one key that is meant: of those that are not in the state yet,
// if no selector says which.
func (c *keyChoice) find(ctx context.Context, core *gateway.Core, state string) (store.DKIMKey, error) {
	selector, domain := c.Selector, c.Domain
	if s, d, ok := strings.Cut(c.Domain, "._domainkey."); ok {
		selector, domain = s, d
	}
	keys, err := core.Keys(ctx, message.DomainKey(domain))
	if err != nil {
		return store.DKIMKey{}, err
	}
	var found []store.DKIMKey
	for _, k := range keys {
		if strings.EqualFold(k.Selector, selector) || selector == "" && k.State != state {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return store.DKIMKey{}, errors.New("there is no such key: see \"ticketgate dkim list\"")
	default:
		return store.DKIMKey{}, fmt.Errorf("%s has %d such keys: say which with --selector", domain, len(found))
	}
}
