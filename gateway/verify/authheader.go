package verify

import (
	"strings"

	"ticketgate/store"
)

// maxLine is the length that lines of a field are folded at (RFC 5322, 2.1.1).
const maxLine = 78

// Header writes the outcome as an Authentication-Results field (RFC 8601),
// folded with CRLF, without a line end behind it. Whatever a mail claims in it
// stands in quotes unless it is a plain host name.
func (a Auth) Header(authservID string) string {
	w := fieldWriter{}
	w.word("Authentication-Results: " + plainOrQuoted(authservID))
	if len(a.DKIM) == 0 {
		w.item("dkim=none")
	}
	for _, d := range a.DKIM {
		w.dkim(d)
	}
	w.dmarc(a.DMARC)
	w.method("spf", "smtp.mailfrom", a.SPF)
	w.method("arc", "header.d", a.ARC)
	return w.b.String()
}

// fieldWriter folds words into lines.
type fieldWriter struct {
	b    strings.Builder
	line int // length of the current line
}

// word adds a word behind a blank, on a new line where it would not fit.
func (w *fieldWriter) word(s string) {
	switch {
	case w.b.Len() == 0:
	case w.line+1+len(s) > maxLine:
		w.b.WriteString("\r\n ")
		w.line = 1
	default:
		w.b.WriteByte(' ')
		w.line++
	}
	w.b.WriteString(s)
	w.line += len(s)
}

// item begins a method's result, on a line of its own.
func (w *fieldWriter) item(s string) {
	w.b.WriteString(";\r\n ")
	w.line = 1 + len(s)
	w.b.WriteString(s)
}

func (w *fieldWriter) prop(name, value string) {
	if value != "" {
		w.word(name + "=" + plainOrQuoted(value))
	}
}

func (w *fieldWriter) dkim(d store.DKIMResult) {
	w.item("dkim=" + d.Result)
	w.prop("reason", d.Reason)
	w.prop("header.d", d.Domain)
	w.prop("header.s", d.Selector)
	w.prop("header.a", d.Algorithm)
}

func (w *fieldWriter) dmarc(d store.DMARCResult) {
	w.item("dmarc=" + d.Result)
	if d.Policy != "" {
		w.word("(p=" + d.Policy + ")") // one of three words
	}
	w.prop("header.from", d.Domain)
}

// method writes what another server reported, or what came of the ARC chain.
func (w *fieldWriter) method(name, prop string, m *store.MethodResult) {
	if m == nil || !isToken(m.Result) {
		return
	}
	w.item(name + "=" + m.Result)
	w.prop(prop, m.Domain)
}

// plainOrQuoted gives s as it is when it is letters, digits, dots, hyphens and
// underscores, else as a quoted string of printable ASCII.
func plainOrQuoted(s string) string {
	if isToken(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isKeyword(c) && c != '.' {
			return false
		}
	}
	return s != ""
}
