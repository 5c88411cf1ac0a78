// Package message reads mail. Parse takes any bytes and always gives a usable
// Message with what is wrong listed in its defects: real mail is too often not
// what the standards say, and a help desk may lose none of it.
//
// The package is pure: no I/O, no clock, no randomness. Its functions are safe
// for concurrent use, take time linear in what they read, and keep bounds on
// what they make of it. Every string that comes out is valid UTF-8 without NUL.
package message

import "time"

// Bounds of what Parse makes of a mail.
const (
	maxTextBytes = 1 << 20 // of Text and of HTML, each
	maxDefects   = 50
	maxDepth     = 100  // levels of multipart
	maxParts     = 1000 // parts on all levels
)

// Message is a parsed mail. Its byte slices alias what was given to Parse where
// nothing had to be decoded, so keep either both or none.
type Message struct {
	// Header is the header as it stands, field by field.
	Header Header
	// Subject is decoded, unfolded and fit for one line.
	Subject string
	// From, Sender, ReplyTo, To and Cc are the addresses of the lowest field of
	// each name. Entries without an address (a name only) may be among them.
	From, Sender, ReplyTo, To, Cc []Address
	// Date is the Date field; zero when absent or broken.
	Date time.Time
	// MessageID has no angle brackets; "" when absent or unusable.
	MessageID string
	// InReplyTo and References are ids without brackets, at most 200 each.
	InReplyTo, References []string
	// Text is the mail as plain text with LF, at most 1 MiB; made from the HTML
	// where there is no text part.
	Text string
	// HTML is sanitised, at most 1 MiB; "" when the mail has no HTML.
	HTML string
	// ReplyText is what the person newly wrote: Text without quotes and
	// signature. When in doubt it keeps.
	ReplyText string
	// Attachments are all parts that are not shown as text, in order.
	Attachments []Attachment
	// Defects name what was wrong: a word, and at times a detail; at most 50.
	Defects []string
	// Duplicated are the fields that may stand only once and stand twice.
	Duplicated []string
	// Excess is "" or why the mail goes to the quarantine: received,
	// header_fields, header_bytes, depth or parts.
	Excess string
	// Automatic tells whether a machine wrote this mail, and which kind.
	Automatic Automatic
	// Bounce is what a delivery report reports; nil when this is none.
	Bounce *Bounce

	plainFrom bool
}

// Attachment is a file that came with the mail.
type Attachment struct {
	// Name is decoded and safe: no path, no control or direction characters, at
	// most 255 octets, never "".
	Name string
	// Type is the declared media type in lower case, without parameters.
	Type string
	// Size is the length of Data in octets.
	Size int
	// SHA256 is the hash of Data in lower-case hexadecimal.
	SHA256 string
	// Inline tells a part that the HTML shows or that asked to be shown.
	Inline bool
	// ContentID has no angle brackets; "" when there is none.
	ContentID string
	// Data are the decoded octets; they may alias the raw mail.
	Data []byte
}

// Automatic tells whether a machine wrote a mail.
type Automatic struct {
	Is bool
	// Kind is bounce, delay, auto_reply, list, notification, receipt, feedback,
	// reaction or calendar; "" when Is is false.
	Kind string
	// Reasons are the signs that it was told by, as "Field: value".
	Reasons []string
}

// Bounce is a report about mail that went out.
type Bounce struct {
	Recipients []BounceRecipient
	// ReturnedIDs are the Message-IDs found in the returned mail.
	ReturnedIDs []string
}

// BounceRecipient is what is said about one recipient.
type BounceRecipient struct {
	// Address as the report names it; "" when it names none.
	Address string
	// Action is failed, delayed, delivered, relayed or expanded (RFC 3464).
	Action string
	// Status is x.y.z; "" when none was found.
	Status string
	// Permanent tells that trying again is of no use.
	Permanent bool
	// SMTPCode is the remote server's three-digit reply; 0 when none was found.
	SMTPCode int
	// Text is the remote server's wording, fit for one line.
	Text string
}

// Author is who wrote the mail. ok is false unless there is exactly one From
// field with exactly one plain mailbox; then a is only the best guess, and
// nothing may be built on it.
func (m *Message) Author() (a Address, ok bool) {
	if len(m.From) == 0 {
		return Address{}, false
	}
	a = m.From[0]
	for _, f := range m.From {
		if f.Valid() {
			a = f
			break
		}
	}
	return a, m.plainFrom && len(m.From) == 1 && a.Valid() && m.Header.Count("From") == 1
}

// Parse reads a whole mail, with CRLF or LF. It never fails and never panics.
func Parse(raw []byte) *Message {
	m := &Message{}
	var body int
	m.Header, body = ParseHeader(raw)
	m.readHeader()
	root, excess := splitTree(raw, m.Header, body, m.defect)
	if m.Excess == "" {
		m.Excess = excess
	}
	m.render(root)
	m.ReplyText = replyText(m.Text)
	m.readReports(root)
	return m
}

// readHeader fills what the header alone tells.
func (m *Message) readHeader() {
	h := &m.Header
	for _, note := range h.notes {
		m.defect(note)
	}
	if h.noBlank {
		m.defect("header_without_blank_line")
	}
	m.Excess = h.excess()
	for _, name := range h.duplicated() {
		m.Duplicated = append(m.Duplicated, name)
		m.defect("field_twice " + name)
	}
	m.Subject = DecodeHeader(h.Get("Subject"))
	m.readAddresses()
	m.readIDs()
	date := h.Get("Date")
	if m.Date = ParseDate(date); m.Date.IsZero() {
		if date == "" {
			m.defect("date_missing")
		} else {
			m.defect("date_broken")
		}
	}
}

func (m *Message) readAddresses() {
	h := &m.Header
	m.From, m.plainFrom = parseAddressList(h.Get("From"))
	m.Sender = ParseAddressList(h.Get("Sender"))
	m.ReplyTo = ParseAddressList(h.Get("Reply-To"))
	m.To = ParseAddressList(h.Get("To"))
	m.Cc = ParseAddressList(h.Get("Cc"))
	switch {
	case !h.Has("From"):
		m.defect("from_missing")
	case !m.plainFrom || len(m.From) != 1 || !m.From[0].Valid():
		m.defect("from_not_one_mailbox")
	}
}

func (m *Message) readIDs() {
	h := &m.Header
	id, defect := messageID(h.Get("Message-ID"))
	m.MessageID = id
	if defect != "" {
		m.defect(defect)
	}
	m.InReplyTo = ParseIDs(h.Get("In-Reply-To"))
	m.References = ParseIDs(h.Get("References"))
}

// defect notes what is wrong, once, and not without end.
func (m *Message) defect(s string) {
	if len(m.Defects) >= maxDefects {
		return
	}
	if len(s) > 200 {
		s = s[:200]
	}
	s = CleanLine(s)
	for _, known := range m.Defects {
		if known == s {
			return
		}
	}
	m.Defects = append(m.Defects, s)
}
