package verify

import (
	"context"
	"errors"
	"net"
	"strings"
)

// policy is what the author's domain publishes about mail that doesn't align.
type policy struct {
	found   bool
	failed  bool   // it could not be looked up
	wish    string // one of the words below, for a record that was found
	exact   bool   // adkim=s
	sayNone bool   // by what is known, nothing is published that would refuse
}

// The policies (RFC 7489, 6.3).
const (
	wishNone       = "none"
	wishQuarantine = "quarantine"
	wishReject     = "reject"
)

// refuses tells that mail which doesn't align is not wanted.
func (p policy) refuses() bool { return p.wish == wishQuarantine || p.wish == wishReject }

// findPolicy looks the DMARC policy for a host name up: at the name itself,
// else at its organisational domain (RFC 7489, 6.6.3).
func findPolicy(ctx context.Context, dns Lookup, domain string) policy {
	p := readPolicy(func(name string) ([]string, error) {
		return dns.TXT(ctx, name)
	}, func() (bool, error) {
		return dns.Exists(ctx, domain)
	}, domain)
	if p.failed {
		p.sayNone = remembered(dns, domain).sayNone
	}
	return p
}

// remembered is the policy by what was last seen of it, without asking.
func remembered(dns Lookup, domain string) policy {
	forgotten := errors.New("not remembered")
	return readPolicy(func(name string) ([]string, error) {
		if records, known := dns.Last(name); known {
			return records, nil
		}
		return nil, forgotten
	}, func() (bool, error) { return false, forgotten }, domain)
}

// readPolicy finds and reads the record. An error of ask that is not about the
// name means that it failed.
func readPolicy(ask func(name string) ([]string, error), exists func() (bool, error), domain string) policy {
	record, below, err := findRecord(ask, domain)
	if err != nil {
		return policy{failed: true}
	}
	if record == "" {
		return policy{sayNone: true}
	}
	p := policy{found: true, exact: policyTag(record, "adkim") == "s"}
	if p.wish, err = wishFor(record, below, exists); err != nil {
		return policy{failed: true}
	}
	p.sayNone = !p.refuses()
	return p
}

// findRecord gives the one record that holds for domain, or "". below tells
// that it stands at the organisational domain, above domain.
func findRecord(ask func(name string) ([]string, error), domain string) (record string, below bool, err error) {
	names := []string{domain}
	if org := organisation(domain); org != "" && org != domain {
		names = append(names, org)
	}
	for i, name := range names {
		records, err := ask("_dmarc." + name)
		if isTemporary(err) {
			return "", false, err
		}
		switch records = policiesOnly(records); len(records) {
		case 0:
		case 1:
			return records[0], i > 0, nil
		default: // RFC 7489, 6.6.3: several are none, and end the search
			return "", false, nil
		}
	}
	return "", false, nil
}

// isTemporary tells a failure that may be over when asked again. What is no DNS
// error at all is taken for one: it says nothing about the record.
func isTemporary(err error) bool {
	failure, ok := errors.AsType[*net.DNSError](err)
	return err != nil && (!ok || failure.IsTemporary || failure.IsTimeout)
}

// policiesOnly drops the records at the name that are no DMARC records.
func policiesOnly(records []string) []string {
	var out []string
	for _, r := range records {
		first, _, _ := strings.Cut(r, ";")
		name, value, _ := strings.Cut(first, "=")
		if strings.EqualFold(strings.TrimSpace(name), "v") && strings.EqualFold(strings.TrimSpace(value), "DMARC1") {
			out = append(out, r)
		}
	}
	return out
}

// wishOf reads one of p, sp and np; a missing or unknown word is none, as for a
// record that only wants reports.
func wishOf(record, name string) string {
	switch word := policyTag(record, name); word {
	case wishQuarantine, wishReject:
		return word
	}
	return wishNone
}

// policyTag is the value of a tag in lower case. Unlike signatures these
// records are read with tolerance: case, blanks and broken neighbours don't
// matter, and of a repeated tag the first counts.
func policyTag(record, name string) string {
	for pair := range strings.SplitSeq(record, ";") {
		key, value, ok := strings.Cut(pair, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.ToLower(strings.TrimSpace(value))
		}
	}
	return ""
}

// wishFor picks among p and, for a subdomain of the record's, sp and np. Only
// where np makes a difference it must be known whether the subdomain exists.
func wishFor(record string, below bool, exists func() (bool, error)) (string, error) {
	if !below {
		return wishOf(record, "p"), nil
	}
	name := "p"
	if policyTag(record, "sp") != "" {
		name = "sp"
	}
	wish := wishOf(record, name)
	if policyTag(record, "np") == "" || wishOf(record, "np") == wish {
		return wish, nil
	}
	is, err := exists()
	if err == nil && !is {
		wish = wishOf(record, "np")
	}
	return wish, err
}
