package verify

import (
	"bytes"
	"strings"
)

// Limits of what is looked at. Canonicalising is linear, but a header beyond
// these is no mail that anybody signed, and bounds keep every cost small.
const (
	maxHeaderBytes = 256 << 10
	maxFields      = 1000
	maxSignature   = 32 << 10 // of one signature's field
)

// field is one header field as DKIM sees it (RFC 6376, 2.8 and 3.4): its octets
// with folding and final line end, and its name in lower case, blanks trimmed.
type field struct {
	name string
	raw  []byte
	at   int // offset in the message
}

// value is what follows the colon, folding included.
func (f field) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte{':'})
	return v
}

// mail is a message cut for verifying. It aliases the bytes it was cut from.
type mail struct {
	fields []field
	body   []byte
	excess string           // which limit was passed, or ""
	byName map[string][]int // places in fields, top to bottom
}

// cut splits raw at the first empty line, as every signer does, and keeps
// each line that begins without a blank as a field, be it one or not. That is
// on purpose stricter than a tolerant parser: what such a parser takes for the
// body may hold a From that a signature binds.
func cut(raw []byte) mail {
	m := mail{fields: make([]field, 0, 32), byName: make(map[string][]int, 32)}
	pos := 0
	for pos < len(raw) {
		end := lineEnd(raw, pos)
		if isEmptyLine(raw[pos:end]) {
			m.body = raw[end:]
			break
		}
		if isBlank(raw[pos]) && len(m.fields) > 0 {
			last := &m.fields[len(m.fields)-1]
			last.raw = raw[last.at:end]
		} else {
			m.fields = append(m.fields, field{raw: raw[pos:end], at: pos})
		}
		if m.excess = m.over(end); m.excess != "" {
			return m
		}
		pos = end
	}
	m.index()
	return m
}

func (m *mail) over(end int) string {
	switch {
	case end > maxHeaderBytes:
		return "header over 256 KiB"
	case len(m.fields) > maxFields:
		return "over 1000 header fields"
	}
	return ""
}

func (m *mail) index() {
	for i := range m.fields {
		name, _, ok := bytes.Cut(m.fields[i].raw, []byte{':'})
		if !ok {
			continue
		}
		key := lowerName(name)
		m.fields[i].name = key
		m.byName[key] = append(m.byName[key], i)
	}
}

// lowerName is a field name in lower case without blanks around it.
func lowerName(name []byte) string {
	return strings.ToLower(string(bytes.TrimSpace(name)))
}

// singular are the fields that may stand only once (RFC 5322, 3.6, and
// RFC 2045 for the MIME ones, which decide what a reader is shown).
var singular = [...]string{
	"from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to",
	"references", "subject", "date", "mime-version", "content-type", "content-transfer-encoding",
}

func isSingular(name string) bool {
	for _, s := range singular {
		if s == name {
			return true
		}
	}
	return false
}

// repeated tells whether a field that may stand only once stands twice.
func (m *mail) repeated() bool {
	for _, name := range singular {
		if len(m.byName[name]) > 1 {
			return true
		}
	}
	return false
}

// lineEnd is the offset behind the line feed that ends the line at pos.
func lineEnd(raw []byte, pos int) int {
	if n := bytes.IndexByte(raw[pos:], '\n'); n >= 0 {
		return pos + n + 1
	}
	return len(raw)
}

func isEmptyLine(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
