package lmtp

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// XForward is what the MTA in front tells about the client that it has the
// message from, by Postfix's XFORWARD command. Each is "" where it is not
// known. It is the MTA's word, and as good as the MTA.
type XForward struct {
	Addr, Name, Port string // of the client
	Proto, Helo      string // what it spoke and how it greeted
	Ident            string // the MTA's queue id
	Source           string // LOCAL or REMOTE
}

// maxXForward bounds one value: they stand in log lines.
const maxXForward = 255

// parseXForward adds the attributes of one XFORWARD command to x. Attributes
// that nobody knows are skipped, as newer MTAs may have more; ok is false when
// there is nothing of the form NAME=value at all.
func (x *XForward) parse(arg string) (ok bool) {
	for _, word := range strings.Fields(arg) {
		name, value, found := strings.Cut(word, "=")
		if !found {
			continue
		}
		ok = true
		if field := x.field(strings.ToUpper(name)); field != nil {
			*field = xforwardValue(value)
		}
	}
	return ok
}

func (x *XForward) field(name string) *string {
	switch name {
	case "ADDR":
		return &x.Addr
	case "NAME":
		return &x.Name
	case "PORT":
		return &x.Port
	case "PROTO":
		return &x.Proto
	case "HELO":
		return &x.Helo
	case "IDENT":
		return &x.Ident
	case "SOURCE":
		return &x.Source
	}
	return nil
}

// xforwardValue decodes xtext (RFC 3461, 4). What cannot be shown as text, and
// the words for not known, become "".
func xforwardValue(raw string) string {
	value, ok := decodeXtext(raw)
	switch {
	case !ok, len(value) > maxXForward, !utf8.ValidString(value),
		strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return ""
	case strings.EqualFold(value, "[UNAVAILABLE]"), strings.EqualFold(value, "[TEMPUNAVAIL]"):
		return ""
	}
	return value
}

func decodeXtext(s string) (string, bool) {
	if !strings.Contains(s, "+") {
		return s, true
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			out.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", false
		}
		octet, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", false
		}
		out.Write(octet)
		i += 2
	}
	return out.String(), true
}
