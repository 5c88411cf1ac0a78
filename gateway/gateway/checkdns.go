package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ticketgate/outbound"
	"ticketgate/store"
	"ticketgate/threading/message"
)

// CheckKeys compares keys with DNS, a finding each. Only a key that signs and
// that receivers can't verify by is an error.
func CheckKeys(ctx context.Context, c *Core, keys []store.DKIMKey) []Finding {
	var f findings
	for _, k := range keys {
		err := c.CheckKey(ctx, k)
		name := "dkim: " + outbound.RecordName(k)
		switch {
		case k.State == store.DKIMRetired:
			f.add(LevelOK, "%s: retired", name)
		case err == nil && k.State == store.DKIMNew:
			f.add(LevelOK, "%s: DNS shows it, it will sign soon", name)
		case err == nil:
			f.add(LevelOK, "%s: signs, and DNS shows it", name)
		case errors.Is(err, ErrDNS):
			f.add(LevelWarn, "%s: %v", name, err)
		case k.State == store.DKIMNew:
			f.add(LevelWarn, "%s: %v; it signs once DNS shows: %s", name, err, outbound.Record(k))
		default:
			f.add(LevelError, "%s: signs, but %v; DNS must show: %s", name, err, outbound.Record(k))
		}
	}
	return f
}

// sendingDomains are those of all accounts, each once, sorted.
func sendingDomains(desk *store.Desk) []string {
	var all []string
	for _, a := range desk.Accounts {
		if _, domain, ok := strings.Cut(a.Key, "@"); ok && a.Active {
			all = append(all, message.DomainKey(domain))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sender looks at what DNS says about mail from a domain.
func (f *findings) sender(ctx context.Context, c *Core, domain string, keys []store.DKIMKey) {
	signed := slices.ContainsFunc(keys, func(k store.DKIMKey) bool {
		return k.State == store.DKIMActive && (k.Domain == domain || strings.HasSuffix(domain, "."+k.Domain))
	})
	if !signed && len(keys) > 0 {
		f.add(LevelWarn, "dkim: no key signs the mail of %s", domain)
	}
	f.policy(ctx, c, "spf", domain, "v=spf1", "which servers send mail of "+domain)
	f.policy(ctx, c, "dmarc", "_dmarc."+domain, "v=DMARC1", "what to do with forged mail of "+domain)
}

// policy looks for the one TXT record at name that begins with version.
func (f *findings) policy(ctx context.Context, c *Core, what, name, version, says string) {
	records, err := c.Resolver.TXT(ctx, name)
	if err != nil && !isNotFound(err) {
		f.add(LevelWarn, "%s: %s: %v", what, name, ErrDNS)
		return
	}
	var found []string
	for _, r := range records {
		if first, _, _ := strings.Cut(strings.TrimSpace(r), " "); strings.EqualFold(strings.TrimSuffix(first, ";"), version) || strings.HasPrefix(strings.ToLower(r), strings.ToLower(version)+";") {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		f.add(LevelWarn, "%s: %s has no record that says %s", what, name, says)
	case 1:
		f.add(LevelOK, "%s: %s: %s", what, name, found[0])
	default:
		f.add(LevelError, "%s: %s has %d records where one may stand: receivers take none", what, name, len(found))
	}
}
