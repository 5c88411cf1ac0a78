package message

import (
	"bytes"
	"strings"
)

// maxBounceRecipients bounds what is read from one report.
const maxBounceRecipients = 200

// onlyDelay tells that nothing has failed yet.
func (b *Bounce) onlyDelay() bool {
	for _, r := range b.Recipients {
		if r.Action != "delayed" {
			return false
		}
	}
	return len(b.Recipients) > 0
}

// readBounce reads a delivery report: RFC 3464 where there is one, else the
// words of mail systems that write none. nil when the mail reports nothing.
func readBounce(m *Message, root *part) *Bounce {
	r := bounceReader{b: &Bounce{}}
	r.walk(root)
	if len(r.b.Recipients) == 0 && isBounceSender(m) {
		r.fromText(m)
	}
	if len(r.b.Recipients) == 0 {
		return nil
	}
	if len(r.b.ReturnedIDs) == 0 {
		r.idsFromText(m.Text)
	}
	return r.b
}

// bounceReader collects what a report says.
type bounceReader struct {
	b  *Bounce
	to []Address // whom the returned mail was for
}

// walk looks for the machine-readable part and the returned mail.
func (r *bounceReader) walk(p *part) {
	for _, c := range p.children {
		r.walk(c)
	}
	if len(p.children) > 0 {
		return
	}
	switch p.mediaType() {
	case "message/delivery-status", "message/global-delivery-status":
		data, _ := decodeTransfer(p.body, p.encoding)
		r.status(data)
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		data, _ := decodeTransfer(p.body, p.encoding)
		h, _ := ParseHeader(data)
		r.returned(&h)
	}
}

func (r *bounceReader) returned(h *Header) {
	for _, v := range h.Values("Message-ID") {
		r.addID(v)
	}
	r.to = append(r.to, ParseAddressList(h.Get("To"))...)
}

func (r *bounceReader) addID(value string) {
	if id, _ := messageID(value); id != "" && len(r.b.ReturnedIDs) < 10 {
		r.b.ReturnedIDs = append(r.b.ReturnedIDs, id)
	}
}

// status reads the groups of fields of RFC 3464, 2: one for the message, then
// one for each recipient.
func (r *bounceReader) status(data []byte) {
	for len(data) > 0 && len(r.b.Recipients) < maxBounceRecipients {
		trimmed := bytes.TrimLeft(data, "\r\n")
		if len(trimmed) == 0 {
			return
		}
		h, n := ParseHeader(trimmed)
		if n == 0 { // a line that is no field: go on behind it
			_, n = cutLine(trimmed, 0)
		}
		data = trimmed[n:]
		if h.Has("Final-Recipient") || h.Has("Original-Recipient") || h.Has("Action") {
			r.b.Recipients = append(r.b.Recipients, statusRecipient(&h))
		}
	}
}

func statusRecipient(h *Header) BounceRecipient {
	r := BounceRecipient{
		Address: typedAddress(h.Get("Original-Recipient")),
		Action:  strings.ToLower(firstWord(h.Get("Action"))),
		Text:    collapse(cut(DecodeHeader(afterType(h.Get("Diagnostic-Code"))), 1000)),
	}
	if final := typedAddress(h.Get("Final-Recipient")); r.Address == "" || final != "" && !strings.Contains(r.Address, "@") {
		r.Address = final
	}
	r.Status = findStatus(h.Get("Status"))
	code, enhanced := findCodes(r.Text)
	r.SMTPCode = code
	if enhanced != "" && (r.Status == "" || strings.HasSuffix(r.Status, ".0.0")) {
		r.Status = enhanced
	}
	r.finish()
	return r
}

// finish decides what the report leaves open.
func (r *BounceRecipient) finish() {
	if r.Action == "" {
		r.Action = "failed"
		if strings.HasPrefix(r.Status, "2") {
			r.Action = "delivered"
		}
	}
	if r.Action != "failed" {
		return
	}
	switch {
	case strings.HasPrefix(r.Status, "5"):
		r.Permanent = true
	case r.Status == "":
		r.Permanent = r.SMTPCode == 0 || r.SMTPCode >= 500
	}
}

// typedAddress reads "rfc822; a@b.c".
func typedAddress(s string) string {
	s = strings.TrimSpace(afterType(s))
	if list := ParseAddressList(s); len(list) > 0 && list[0].Local != "" {
		return list[0].String()
	}
	return CleanLine(cut(s, 320))
}

func afterType(s string) string {
	if i := strings.IndexByte(s, ';'); i >= 0 && i < 20 {
		return strings.TrimSpace(s[i+1:])
	}
	return s
}

func firstWord(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t(;"); i >= 0 {
		s = s[:i]
	}
	return CleanLine(cut(s, 40))
}

// findStatus finds the first x.y.z of RFC 3463 in s.
func findStatus(s string) string {
	for i := 0; i+4 < len(s); i++ {
		if c := s[i]; c != '2' && c != '4' && c != '5' || s[i+1] != '.' || i > 0 && (isDigit(s[i-1]) || s[i-1] == '.') {
			continue
		}
		j := i + 2
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		k := j + 1
		for k < len(s) && isDigit(s[k]) {
			k++
		}
		if j > i+2 && j < i+6 && j < len(s) && s[j] == '.' && k > j+1 && k < j+5 && (k == len(s) || s[k] != '.' || k+1 == len(s) || !isDigit(s[k+1])) {
			return s[i:k]
		}
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// findCodes finds the three-digit reply and the enhanced status of a server's
// words.
func findCodes(s string) (code int, enhanced string) {
	enhanced = findStatus(s)
	for i := 0; i+3 <= len(s); i++ {
		if (s[i] != '4' && s[i] != '5') || s[i+1] > '5' || !isDigit(s[i+1]) || !isDigit(s[i+2]) {
			continue
		}
		before := i == 0 || strings.IndexByte(" \t:(<[#'\"-", s[i-1]) >= 0
		after := i+3 == len(s) || strings.IndexByte(" -\t:)>]#,;", s[i+3]) >= 0
		if before && after {
			return int(s[i]-'0')*100 + int(s[i+1]-'0')*10 + int(s[i+2]-'0'), enhanced
		}
	}
	return 0, enhanced
}
