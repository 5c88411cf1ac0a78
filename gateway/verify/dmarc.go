package verify

import (
	"context"
	"errors"
	"net"
	"slices"
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

// The policies (RFC 9989, 4.7).
const (
	wishNone       = "none"
	wishQuarantine = "quarantine"
	wishReject     = "reject"
)

// refuses tells that mail which doesn't align is not wanted.
func (p policy) refuses() bool { return p.wish == wishQuarantine || p.wish == wishReject }

// findPolicy looks the DMARC policy for a host name up.
func findPolicy(ctx context.Context, w *walker, dns Lookup, domain string) policy {
	p := readPolicy(w, func() (bool, error) { return dns.Exists(ctx, domain) }, domain)
	if p.failed {
		p.sayNone = remembered(dns, domain).sayNone
	}
	return p
}

var errForgotten = errors.New("not remembered")

// remembered is the policy by what was last seen of it, without asking.
func remembered(dns Lookup, domain string) policy {
	w := &walker{ask: func(name string) ([]string, error) {
		if records, known := dns.Last(name); known {
			return records, nil
		}
		return nil, errForgotten
	}}
	return readPolicy(w, func() (bool, error) { return false, errForgotten }, domain)
}

// readPolicy finds and reads the record. An error of asking that is not about
// the name means that it failed.
func readPolicy(w *walker, exists func() (bool, error), domain string) policy {
	record, above, err := w.policyRecord(domain)
	if err != nil {
		return policy{failed: true}
	}
	if record == "" {
		return policy{sayNone: true}
	}
	p := policy{found: true, exact: policyTag(record, "adkim") == "s"}
	if p.wish, err = wishFor(record, above, exists); err != nil {
		return policy{failed: true}
	}
	p.sayNone = !p.refuses()
	return p
}

// walker looks up the DMARC records of one mail: each name once, and no more
// names than maxWalked. It isn't safe for concurrent use.
type walker struct {
	ask  func(name string) ([]string, error)
	seen []walked
}

// walked is the record at a name, "" for none.
type walked struct {
	name, record string
	err          error
}

// maxWalked bounds the names of one mail: the author's walk has at most 8, the
// rest is for those who signed.
const maxWalked = 16

var errTooManyNames = &net.DNSError{Err: "too many names for one mail"}

// at gives the one record at a name. Several are none (RFC 9989, 4.10). The
// only errors are temporary ones and errTooManyNames.
func (w *walker) at(name string) (string, error) {
	for _, known := range w.seen {
		if known.name == name {
			return known.record, known.err
		}
	}
	if len(w.seen) == maxWalked {
		return "", errTooManyNames
	}
	found := walked{name: name}
	records, err := w.ask("_dmarc." + name)
	if isTemporary(err) {
		found.err = err
	} else if records = policiesOnly(records); len(records) == 1 {
		found.record = records[0]
	}
	w.seen = append(w.seen, found)
	return found.record, found.err
}

// policyRecord gives the one record that holds for domain, or "" (RFC 9989,
// 4.10.1, inside what the public suffix list leaves): its own; else, going up,
// the first that marks its name as an organisation's or a registry's; else that
// of the organisational domain, or of the topmost name below it that has one;
// else the registry's above, which must say that it is one. above tells that the
// record stands above domain.
func (w *walker) policyRecord(domain string) (record string, above bool, err error) {
	top, topIs := "", ""
	for i, name := range walkNames(domain) {
		found, err := w.at(name)
		switch {
		case err != nil:
			return "", false, err
		case found == "":
			continue
		case i == 0:
			return found, false, nil
		}
		switch policyTag(found, "psd") {
		case "n":
			return found, true, nil
		case "y": // what is registered one label below it comes first
			if topIs != "" && topIs == childOf(name, domain) {
				return top, true, nil
			}
			return found, true, nil
		}
		top, topIs = found, name
	}
	if top != "" {
		return top, true, nil
	}
	registry := suffixAbove(domain)
	if registry == "" {
		return "", false, nil
	}
	if top, err = w.at(registry); err != nil || policyTag(top, "psd") != "y" {
		return "", false, err
	}
	return top, true, nil
}

// organisation is the organisational domain of a host name (RFC 9989, 4.10.2):
// that of the public suffix list, or one below it where a record on the way says
// so. It is never wider than the list's.
func (w *walker) organisation(domain string) (string, error) {
	names := walkNames(domain)
	for i, name := range names {
		record, err := w.at(name)
		if err != nil {
			return "", err
		}
		switch psd := policyTag(record, "psd"); {
		case psd == "n":
			return name, nil
		case psd == "y" && i > 0:
			return childOf(name, domain), nil
		}
	}
	return names[len(names)-1], nil
}

// sameOrganisation tells whether two names that share the organisational domain
// of the public suffix list are one organisation by DNS as well.
func (w *walker) sameOrganisation(a, b string) (bool, error) {
	ofA, err := w.organisation(a)
	if err != nil {
		return false, err
	}
	ofB, err := w.organisation(b)
	return err == nil && ofA == ofB, err
}

// maxDepth is how many labels the walk looks at below the root, after the name
// itself (RFC 9989, 4.10, step 5).
const maxDepth = 7

// walkNames are the names of the walk, from domain itself up to its
// organisational domain by the public suffix list.
func walkNames(domain string) []string {
	names := append(make([]string, 0, 4), domain)
	org := organisation(domain)
	if org == "" {
		return names
	}
	labels := 1 + strings.Count(domain, ".")
	for name := domain; name != org; {
		_, name, _ = strings.Cut(name, ".")
		if labels--; labels <= maxDepth || name == org {
			names = append(names, name)
		}
	}
	return names
}

// childOf is the name one label below top on the way to domain.
func childOf(top, domain string) string {
	rest := strings.TrimSuffix(domain, "."+top)
	return domain[strings.LastIndexByte(rest, '.')+1:]
}

// isTemporary tells a failure that may be over when asked again. What is no DNS
// error at all is taken for one: it says nothing about the record.
func isTemporary(err error) bool {
	failure, ok := errors.AsType[*net.DNSError](err)
	return err != nil && (!ok || failure.IsTemporary || failure.IsTimeout)
}

// policiesOnly drops the records at the name that are no DMARC records.
func policiesOnly(records []string) []string {
	if !slices.ContainsFunc(records, func(r string) bool { return !isPolicy(r) }) {
		return records
	}
	var out []string
	for _, r := range records {
		if isPolicy(r) {
			out = append(out, r)
		}
	}
	return out
}

func isPolicy(record string) bool {
	first, _, _ := strings.Cut(record, ";")
	name, value, _ := strings.Cut(first, "=")
	return strings.EqualFold(strings.TrimSpace(name), "v") && strings.EqualFold(strings.TrimSpace(value), "DMARC1")
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

// wishFor picks among p and, for a name below the record's, sp and np. Only
// where np makes a difference it must be known whether that name exists.
func wishFor(record string, above bool, exists func() (bool, error)) (string, error) {
	if !above {
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
