package outbound

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// header collects the fields of a message. Its first error sticks: a value
// that could break out of its field spoils the message.
type header struct {
	buf bytes.Buffer
	// utf8 allows the local part of an address to stand in UTF-8 (RFC 6532).
	utf8 bool
	err  error
}

// fail keeps the first error.
func (h *header) fail(name, what string) {
	if h.err == nil {
		h.err = store.Invalid(strings.ToLower(name), "the %s of the mail %s", name, what)
	}
}

// clean tells whether a value of the field name can be written: valid UTF-8,
// no control character and no line break of any kind.
func (h *header) clean(name, value string) bool {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, isControl) {
		h.fail(name, "holds a control character or broken UTF-8")
		return false
	}
	return true
}

// isControl tells control characters (C0, DEL, C1) and Unicode's own line
// breaks.
func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// tokens writes a field of tokens that stand apart by a blank, and folds
// between them where a line gets longer than 78 octets.
func (h *header) tokens(name string, tokens []string) {
	h.buf.WriteString(name + ":")
	column := len(name) + 1
	for i, token := range tokens {
		if i > 0 && column+1+len(token) > foldAt {
			h.buf.WriteString("\r\n")
			column = 0
		}
		h.buf.WriteByte(' ')
		h.buf.WriteString(token)
		column += 1 + len(token)
	}
	h.buf.WriteString("\r\n")
}

// text writes an unstructured field, as encoded words where it needs them.
func (h *header) text(name, value string) {
	if !h.clean(name, value) {
		return
	}
	if !plainText(value) {
		value = encodeWords(value)
	}
	h.tokens(name, strings.Split(value, " "))
}

// addresses writes a list of mailboxes; none where the list is empty.
func (h *header) addresses(name string, list []store.Address) {
	var tokens []string
	for i, a := range list {
		one := h.mailbox(name, a)
		if i < len(list)-1 && len(one) > 0 {
			one[len(one)-1] += ","
		}
		tokens = append(tokens, one...)
	}
	if len(tokens) > 0 {
		h.tokens(name, tokens)
	}
}

// mailbox gives the tokens of one address with its name.
func (h *header) mailbox(name string, a store.Address) []string {
	if !h.clean(name, a.Name) || !h.clean(name, a.Address) {
		return nil
	}
	address, err := wireAddress(a.Address)
	if err != nil {
		h.fail(name, "holds an address that is none")
		return nil
	}
	if !h.utf8 && !isASCII(address) {
		// RFC 6857, 3.1.3: shown as an empty group to those who can't be sent
		// the address itself.
		return append(strings.Split(encodeWords(a.Address), " "), ":;")
	}
	if a.Name == "" {
		return []string{address}
	}
	return append(phrase(a.Name), "<"+address+">")
}

// phrase gives the tokens of a display name: as atoms, as a quoted string, or
// as encoded words.
func phrase(name string) []string {
	switch {
	case !plainText(name):
		return strings.Split(encodeWords(name), " ")
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		return strings.Split(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)+`"`, " ")
	}
	return strings.Split(name, " ")
}

// ids writes a field of message ids, which come without brackets.
func (h *header) ids(name string, ids []string) {
	var tokens []string
	for _, id := range ids {
		if !h.clean(name, id) {
			return
		}
		if id = strings.TrimSpace(id); sendableID(id) {
			tokens = append(tokens, "<"+id+">")
		}
	}
	if len(tokens) > 0 {
		h.tokens(name, tokens)
	}
}

// sendableID tells whether an id can be named in a header of ours. Mail out
// there bears ids with blanks, brackets or letters beyond ASCII; naming those
// would spoil the field for the good ones.
func sendableID(id string) bool {
	if id == "" || len(id) > 900 {
		return false
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>' {
			return false
		}
	}
	return true
}

// wireAddress is an address as it stands in a header and in the envelope: the
// domain as A-labels (RFC 5890), the local part as it is.
func wireAddress(address string) (string, error) {
	a, err := message.ParseAddress(address)
	if err != nil {
		return "", err
	}
	if !isASCII(a.Domain) {
		a.Domain = message.DomainKey(a.Domain)
	}
	if !isASCII(a.Domain) {
		return "", store.Invalid("address", "the domain is no host name")
	}
	return a.String(), nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
