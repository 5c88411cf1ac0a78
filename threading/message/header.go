package message

import (
	"bytes"
	"strings"
)

// Limits of the header that the parser keeps. What goes beyond them is counted
// and skipped, never stored: such a mail waits in the quarantine anyway.
const (
	maxHeaderFields = 1000
	maxHeaderBytes  = 256 << 10
	maxReceived     = 30
)

// Header is a header block as it was found, field by field, top to bottom.
// It aliases the bytes it was parsed from and is safe for concurrent reads.
type Header struct {
	// Fields are the first 1000 fields within the first 256 KiB.
	Fields []Field

	total   int // fields seen, kept or not
	bytes   int // octets of the block, without the blank line that ends it
	notes   []string
	noBlank bool // the body began without a blank line
}

// Field is one header field.
type Field struct {
	// Name is the field's name as typed; a blank before the colon is trimmed.
	Name string
	// Raw is the whole field with its folding, without the final line end.
	Raw []byte
	// Value is what follows the colon, unfolded and trimmed, not decoded.
	Value string
}

// ParseHeader scans the header block at the start of raw and returns it with
// the offset of the body. It accepts CRLF and LF, never fails, and takes time
// linear in the size of the block. A line that is no field is skipped when a
// field follows it; otherwise it is taken for the first line of the body, as
// MTAs do (a mail whose blank line is missing loses nothing that way).
func ParseHeader(raw []byte) (Header, int) {
	return scanHeader(raw, nil)
}

// scanHeader is ParseHeader with a guard: a line for which stop is true ends
// the block, so that a MIME part without a blank line can't swallow its
// boundary. Only lines that begin with "--" are shown to stop.
func scanHeader(raw []byte, stop func(line []byte) bool) (Header, int) {
	var h Header
	var spans []span
	pos := 0
	for pos < len(raw) {
		line, next := cutLine(raw, pos)
		if len(line) == 0 {
			h.finish(raw, spans, pos)
			return h, next
		}
		if stop != nil && isDashed(line) && stop(line) {
			break
		}
		switch {
		case isBlank(line[0]) && len(spans) > 0 && spans[len(spans)-1].end == pos:
			h.extend(spans, next)
		case fieldName(line) > 0:
			spans = h.begin(spans, pos, next)
		case fieldFollows(raw, next):
			h.note("header_line_skipped")
		default:
			h.noBlank = true
			h.finish(raw, spans, pos)
			return h, pos
		}
		pos = next
	}
	h.noBlank = true
	h.finish(raw, spans, pos)
	return h, pos
}

// span is a field's place in the block, from its first octet to the start of
// the line after it.
type span struct{ start, end int }

func (h *Header) begin(spans []span, start, end int) []span {
	h.total++
	if h.total > maxHeaderFields || start > maxHeaderBytes {
		return spans
	}
	if spans == nil {
		spans = make([]span, 0, 24)
	}
	return append(spans, span{start, end})
}

func (h *Header) extend(spans []span, end int) { spans[len(spans)-1].end = end }

// finish turns spans into fields. One string is made of the whole block and
// every value that is not folded is a slice of it.
func (h *Header) finish(raw []byte, spans []span, end int) {
	h.bytes = end
	if len(spans) == 0 {
		return
	}
	whole := string(raw[:min(spans[len(spans)-1].end, maxHeaderBytes*2)])
	h.Fields = make([]Field, 0, len(spans))
	for _, s := range spans {
		e := min(s.end, len(whole))
		if s.start >= e {
			break
		}
		h.Fields = append(h.Fields, h.field(raw[s.start:e], whole[s.start:e]))
	}
}

func (h *Header) field(raw []byte, text string) Field {
	raw, text = raw[:trimEnd(text)], text[:trimEnd(text)]
	colon := strings.IndexByte(text, ':')
	name := strings.TrimRight(text[:colon], " \t")
	if len(name) != colon {
		h.note("blank_before_colon " + name)
	}
	return Field{Name: name, Raw: raw, Value: strings.Trim(unfold(text[colon+1:]), " \t")}
}

// unfold removes line ends; the blanks of the folding stay (RFC 5322, 2.2.3).
func unfold(s string) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || (s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n') {
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// trimEnd is the length of s without its final line end.
func trimEnd(s string) int {
	n := len(s)
	if n > 0 && s[n-1] == '\n' {
		n--
		if n > 0 && s[n-1] == '\r' {
			n--
		}
	}
	return n
}

// cutLine returns the line at pos without its end, and where the next begins.
func cutLine(raw []byte, pos int) (line []byte, next int) {
	n := bytes.IndexByte(raw[pos:], '\n')
	if n < 0 {
		return raw[pos:], len(raw)
	}
	line = raw[pos : pos+n]
	if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, pos + n + 1
}

// fieldName is the length of the field name that line begins with, up to its
// colon (blanks before the colon included), or 0 when line begins no field.
func fieldName(line []byte) int {
	for i, c := range line {
		switch {
		case c == ':':
			if isBlank(line[0]) {
				return 0
			}
			return i
		case isBlank(c):
			rest := bytes.TrimLeft(line[i:], " \t")
			if i == 0 || len(rest) == 0 || rest[0] != ':' {
				return 0
			}
			return len(line) - len(rest)
		case c <= 32 || c >= 127:
			return 0
		}
	}
	return 0
}

func fieldFollows(raw []byte, pos int) bool {
	if pos >= len(raw) {
		return false
	}
	line, _ := cutLine(raw, pos)
	return fieldName(line) > 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isDashed(line []byte) bool { return len(line) > 2 && line[0] == '-' && line[1] == '-' }

func (h *Header) note(s string) {
	if len(h.notes) < 8 {
		h.notes = append(h.notes, s)
	}
}

// Get returns the value of the lowest field of that name, "" when there is
// none. The lowest is the one that a DKIM signature binds (RFC 6376, 5.4.2).
func (h *Header) Get(name string) string {
	for i := len(h.Fields) - 1; i >= 0; i-- {
		if strings.EqualFold(h.Fields[i].Name, name) {
			return h.Fields[i].Value
		}
	}
	return ""
}

// Values returns the values of all fields of that name, top to bottom.
func (h *Header) Values(name string) []string {
	var out []string
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			out = append(out, h.Fields[i].Value)
		}
	}
	return out
}

// Count is how many fields of that name the header has.
func (h *Header) Count(name string) int {
	n := 0
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			n++
		}
	}
	return n
}

// Has tells whether there is at least one field of that name.
func (h *Header) Has(name string) bool { return h.Count(name) > 0 }

// singular are the fields that may stand only once (RFC 5322, 3.6).
var singular = [...]string{
	"From", "Sender", "Reply-To", "To", "Cc", "Message-ID",
	"In-Reply-To", "References", "Subject", "Date",
}

// duplicated names the fields that stand more often than they may.
func (h *Header) duplicated() []string {
	var count [len(singular)]int
	var out []string
	for i := range h.Fields {
		for j, name := range singular {
			if len(name) == len(h.Fields[i].Name) && strings.EqualFold(name, h.Fields[i].Name) {
				if count[j]++; count[j] == 2 {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// excess says why a mail with this header goes to the quarantine, or "".
func (h *Header) excess() string {
	switch {
	case h.total > maxHeaderFields:
		return "header_fields"
	case h.bytes > maxHeaderBytes:
		return "header_bytes"
	case h.Count("Received") > maxReceived:
		return "received"
	}
	return ""
}
