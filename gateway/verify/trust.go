package verify

import (
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
)

const resultsField = "authentication-results"

// trusted is what servers that we believe say of a mail.
type trusted struct {
	dmarcPass bool // for the author's domain
	spf, arc  *store.MethodResult
}

// readTrusted reads the Authentication-Results that bear a trusted authserv-id.
// Of each such id only the topmost field counts: the server writes its own above
// whatever the mail brought along. SPF and ARC are recorded, and decide nothing.
func readTrusted(m *mail, author string, ids []string) trusted {
	var t trusted
	if len(ids) == 0 {
		return t
	}
	seen := map[string]bool{}
	decided := false
	for _, place := range m.byName[resultsField] {
		r, ok := readReport(string(m.fields[place].value()))
		if !ok || seen[r.server] || !slices.Contains(ids, r.server) {
			continue
		}
		seen[r.server] = true
		if says, pass := r.dmarc(author); says && !decided {
			decided, t.dmarcPass = true, pass
		}
		if t.spf == nil {
			t.spf = r.method("spf", "smtp.mailfrom", "smtp.helo")
		}
		if t.arc == nil {
			t.arc = r.method("arc", "header.oldest-pass")
			if t.arc != nil {
				t.arc.Domain = "" // a number, not a domain
			}
		}
	}
	return t
}

// dmarc tells whether the field says something about DMARC, and whether that is
// one pass, for the author's domain by name.
func (r *reported) dmarc(author string) (says, pass bool) {
	n := 0
	for _, res := range r.results {
		if res.method != "dmarc" {
			continue
		}
		n++
		from, ok := res.prop("header.from")
		name, valid := hostName(from[strings.LastIndexByte(from, '@')+1:])
		pass = ok && valid && author != "" && name == author && res.result == resultPass
	}
	return n > 0, pass && n == 1
}

// method gives the result of the first entry for a method, with the domain of
// the first of the named properties that is there.
func (r *reported) method(method string, props ...string) *store.MethodResult {
	for _, res := range r.results {
		if res.method != method {
			continue
		}
		out := &store.MethodResult{Result: shown(res.result)}
		for _, name := range props {
			if value, ok := res.prop(name); ok && value != "" {
				value = strings.Trim(value, "<>")
				out.Domain = shown(message.DomainKey(value[strings.LastIndexByte(value, '@')+1:]))
				break
			}
		}
		return out
	}
	return nil
}

// Strip returns raw without the Authentication-Results fields of its header that
// claim to be written by authservID: nobody but us may write those (RFC 8601, 5).
// A field of that name too odd to be read goes as well when the id stands in it.
// Without such a field raw itself is returned; it is never changed.
func Strip(raw []byte, authservID string) []byte {
	id := serverKey(authservID)
	m := cut(raw)
	if m.excess != "" {
		m.index() // what was read before the limit
	}
	var out []byte
	from := 0
	for _, place := range m.byName[resultsField] {
		f := m.fields[place]
		if !claims(string(f.value()), id) {
			continue
		}
		out = append(out, raw[from:f.at]...)
		from = f.at + len(f.raw)
	}
	if from == 0 {
		return raw
	}
	return append(out, raw[from:]...)
}

func claims(value, id string) bool {
	p := reportReader{s: value}
	var r reported
	if p.server(&r) {
		return r.server == id
	}
	return strings.Contains(strings.ToLower(value), id)
}
