package verify

import "strings"

// The trusted results of another server: a small reader of RFC 8601, 2.2. It
// reads token by token, so that nothing inside quotes or comments is ever taken
// for a result, and it gives up on a field at the first thing that it doesn't
// understand: half a field is not believed.

// reported is one Authentication-Results field.
type reported struct {
	server  string // the authserv-id, in lower case
	results []methodResult
}

// methodResult is one method's result with its properties.
type methodResult struct {
	method string
	result string
	props  []property
}

// property is what a result is about, as in header.from=example.org.
type property struct{ name, value string }

// prop gives the value of a property that stands exactly once.
func (r methodResult) prop(name string) (string, bool) {
	value, n := "", 0
	for _, p := range r.props {
		if p.name == name {
			value = p.value
			n++
		}
	}
	return value, n == 1
}

// Bounds of one field.
const (
	maxReportBytes = 16 << 10
	maxResults     = 64
	maxProps       = 256
	maxNesting     = 16 // of comments
)

// readReport reads the value of a field. ok is false for what is malformed, of
// another version, or over the bounds.
func readReport(value string) (r reported, ok bool) {
	p := reportReader{s: value}
	if len(value) > maxReportBytes || !p.server(&r) {
		return reported{}, false
	}
	for p.skip() && !p.done() {
		if !p.take(';') || !p.skip() {
			return reported{}, false
		}
		if p.done() {
			break // a semicolon at the end is common
		}
		if !p.result(&r) || len(r.results) > maxResults {
			return reported{}, false
		}
	}
	return r, p.done()
}

// reportReader walks over a field's value. Its steps return false where the
// value is malformed.
type reportReader struct {
	s     string
	i     int
	props int
}

func (p *reportReader) done() bool { return p.i >= len(p.s) }

func (p *reportReader) at(c byte) bool { return !p.done() && p.s[p.i] == c }

func (p *reportReader) take(c byte) bool {
	if !p.at(c) {
		return false
	}
	p.i++
	return true
}

// skip passes blanks, line ends and comments.
func (p *reportReader) skip() bool {
	for !p.done() {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		case '(':
			if !p.comment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

func (p *reportReader) comment() bool {
	depth := 0
	for ; !p.done(); p.i++ {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case '(':
			if depth++; depth > maxNesting {
				return false
			}
		case ')':
			if depth--; depth == 0 {
				p.i++
				return true
			}
		}
	}
	return false
}

// server reads the authserv-id and the version after it.
func (p *reportReader) server(r *reported) bool {
	if !p.skip() {
		return false
	}
	name, ok := p.value()
	r.server = serverKey(name)
	if !ok || r.server == "" || !p.skip() {
		return false
	}
	if p.done() || p.at(';') {
		return true
	}
	version, ok := p.value()
	return ok && version == "1" && p.skip() && (p.done() || p.at(';'))
}

// serverKey is the form that authserv-ids are compared by.
func serverKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// result reads one method with its reason and properties, up to the next
// semicolon; "none", which says that nothing was checked, adds nothing.
func (p *reportReader) result(r *reported) bool {
	name, value, ok := p.pair()
	if !ok {
		return false
	}
	if value == "" { // no result at all
		return strings.EqualFold(name, "none") && p.skip() && (p.done() || p.at(';'))
	}
	method, version, hasVersion := strings.Cut(name, "/")
	if hasVersion && strings.TrimSpace(version) != "1" {
		return false
	}
	res := methodResult{method: strings.ToLower(method), result: strings.ToLower(value)}
	for p.skip() && !p.done() && !p.at(';') {
		name, value, ok := p.pair()
		if p.props++; !ok || p.props > maxProps {
			return false
		}
		res.props = append(res.props, property{strings.ToLower(name), value})
	}
	r.results = append(r.results, res)
	return p.done() || p.at(';')
}

// pair reads name=value, or a name alone; value may be empty in both.
func (p *reportReader) pair() (name, value string, ok bool) {
	if name = p.name(); name == "" || !p.skip() {
		return "", "", false
	}
	if !p.take('=') {
		return name, "", true
	}
	if !p.skip() {
		return "", "", false
	}
	value, ok = p.value()
	return name, value, ok
}

// name reads a keyword, or ptype.property with its dot; blanks and comments may
// stand around dot and slash.
func (p *reportReader) name() string {
	var b strings.Builder
	for {
		start := p.i
		for !p.done() && isKeyword(p.s[p.i]) {
			p.i++
		}
		if p.i == start {
			return ""
		}
		b.WriteString(p.s[start:p.i])
		mark := p.i
		if !p.skip() {
			return ""
		}
		if !p.at('.') && !p.at('/') {
			p.i = mark
			return b.String()
		}
		b.WriteByte(p.s[p.i])
		p.i++
		if !p.skip() {
			return ""
		}
	}
}

func isKeyword(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// value reads a token, a quoted string, or an address whose local part may be
// quoted: whatever stands together without a blank.
func (p *reportReader) value() (string, bool) {
	start := p.i
	for !p.done() && isValueByte(p.s[p.i]) {
		p.i++
	}
	if !p.at('"') {
		return p.s[start:p.i], true
	}
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for !p.done() {
		switch c := p.s[p.i]; {
		case c == '"':
			if !p.quoted(&b) {
				return "", false
			}
		case isValueByte(c):
			b.WriteByte(c)
			p.i++
		default:
			return b.String(), true
		}
	}
	return b.String(), true
}

// isValueByte tells what may stand in a value without quotes. "=" is among it:
// servers write it in header.b and in addresses.
func isValueByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`;()"\`, c) < 0
}

func (p *reportReader) quoted(b *strings.Builder) bool {
	for p.i++; !p.done(); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return true
		case '\\':
			if p.i++; p.done() {
				return false
			}
			b.WriteByte(p.s[p.i])
		case '\r', '\n':
		default:
			b.WriteByte(c)
		}
	}
	return false
}
