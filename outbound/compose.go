package outbound

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ticketgate/store"
)

// maxReferences is how many ids of a thread are named: the first ones and the
// last ones.
const maxReferences = 20

// Compose writes the message of m: its final bytes, unsigned, with CRLF line
// ends, in 7 bits and with at most 998 octets a line. Only the local part of an
// address stands in UTF-8 where it can't be written otherwise (RFC 6532). blob
// reads the files of m by their hash.
//
// The same mail gives the same bytes each time. Bcc is not known here, so it
// can't leak. A value that holds a control character, a line break or an
// address that is none is refused with store.CodeInvalid; an error of blob is
// returned as it is.
func Compose(ctx context.Context, m store.Mail, blob func(ctx context.Context, hash string) ([]byte, error)) ([]byte, error) {
	return compose(ctx, m, blob, true)
}

// compose is Compose; without utf8 an address with letters beyond ASCII before
// the @ is shown and can't be answered to, which keeps the message in 7 bits
// for recipients who have nothing to do with it.
func compose(ctx context.Context, m store.Mail, blob func(context.Context, string) ([]byte, error), utf8 bool) ([]byte, error) {
	h := &header{utf8: utf8 || !isASCII(m.From.Address)}
	if !sendableID(m.MessageID) || !strings.Contains(m.MessageID, "@") {
		h.fail("Message-ID", "is none")
	}
	h.origin(m)
	h.thread(m)
	h.marks(m)
	if h.err != nil {
		return nil, h.err
	}
	body, err := bodyOf(ctx, m, blob)
	if err != nil {
		return nil, err
	}
	h.buf.WriteString("MIME-Version: 1.0\r\n")
	raw := h.buf.Bytes()
	raw = append(raw, body.bytes()...)
	if err := checkWire(raw, h.utf8); err != nil {
		return nil, err
	}
	return raw, nil
}

// origin writes who writes to whom.
func (h *header) origin(m store.Mail) {
	h.addresses("From", []store.Address{m.From})
	if len(m.To) > 0 {
		h.addresses("To", m.To)
	} else {
		h.tokens("To", []string{"undisclosed-recipients:;"})
	}
	h.addresses("Cc", m.Cc)
	if m.ReplyTo != "" {
		h.addresses("Reply-To", []store.Address{{Address: m.ReplyTo}})
	}
	h.text("Subject", m.Subject)
	h.tokens("Date", strings.Split(m.Date.Format(time.RFC1123Z), " "))
}

// thread writes which message it is and what it answers.
func (h *header) thread(m store.Mail) {
	h.ids("Message-ID", []string{m.MessageID})
	if m.InReplyTo != "" {
		h.ids("In-Reply-To", []string{m.InReplyTo})
	}
	refs := m.References
	if len(refs) > 2*maxReferences {
		refs = append(append([]string{}, refs[:maxReferences]...), refs[len(refs)-maxReferences:]...)
	}
	h.ids("References", refs)
}

// marks writes what other programs should know: that a machine wrote it
// (RFC 3834, 5), that reactions are not wanted, and our own loop mark.
func (h *header) marks(m store.Mail) {
	if m.AutoSubmitted != "" {
		h.text("Auto-Submitted", m.AutoSubmitted)
		h.text("X-Auto-Response-Suppress", "All")
	}
	h.text("x-ms-reactions", "disallow")
	if m.LoopMark != "" {
		h.text("X-Ticketgate-Loop", m.LoopMark)
	}
}

// checkWire is the last look at what leaves: a line break, a NUL or an 8-bit
// octet that slipped through could become a second message at the next hop.
func checkWire(raw []byte, utf8 bool) error {
	line, inHeader := 0, true
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
			if line == 0 {
				inHeader = false
			}
			line, i = 0, i+1
			continue
		case c == '\r' || c == '\n' || c == 0:
			return fmt.Errorf("the composed mail has a stray octet %#02x at %d", c, i)
		case c > '~'+1 && !(utf8 && inHeader):
			return fmt.Errorf("the composed mail is not 7-bit at %d", i)
		}
		if line++; line > maxLine {
			return fmt.Errorf("the composed mail has a line over %d octets at %d", maxLine, i)
		}
	}
	if line != 0 {
		return fmt.Errorf("the composed mail does not end its last line")
	}
	return nil
}
