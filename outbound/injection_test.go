package outbound

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"ticketgate/store"
)

func TestQ17HeaderInjection(t *testing.T) {
	set := map[string]func(*store.Mail, string){
		"from name":   func(m *store.Mail, s string) { m.From.Name = s },
		"to name":     func(m *store.Mail, s string) { m.To[0].Name = s },
		"subject":     func(m *store.Mail, s string) { m.Subject = s },
		"loop mark":   func(m *store.Mail, s string) { m.LoopMark = s },
		"auto":        func(m *store.Mail, s string) { m.AutoSubmitted = s },
		"from":        func(m *store.Mail, s string) { m.From.Address = s + "@example.org" },
		"to":          func(m *store.Mail, s string) { m.To[0].Address = s + "@example.org" },
		"cc":          func(m *store.Mail, s string) { m.Cc = []store.Address{{Address: s + "@example.org"}} },
		"reply-to":    func(m *store.Mail, s string) { m.ReplyTo = s + "@example.org" },
		"message-id":  func(m *store.Mail, s string) { m.MessageID = s + "@example.org" },
		"in-reply-to": func(m *store.Mail, s string) { m.InReplyTo = s + "@example.org" },
		"references":  func(m *store.Mail, s string) { m.References = []string{s + "@example.org"} },
		"file name":   func(m *store.Mail, s string) { m.Parts = []store.MailPart{{Name: s, Hash: "pdf"}} },
		"file type":   func(m *store.Mail, s string) { m.Parts = []store.MailPart{{Type: s, Hash: "pdf"}} },
		"content id": func(m *store.Mail, s string) {
			m.Parts = []store.MailPart{{Type: "image/png", ContentID: s, Inline: true, Hash: "png"}}
		},
	}
	for name, apply := range set {
		for _, bad := range []string{"a\r\nBcc: x@evil", "a\nBcc: x", "a\rb", "a\x00b", "a\tb", "a\x7fb", "a\u0085b", "a\u2028b", "a\xffb"} {
			m := sampleMail()
			apply(&m, bad)
			raw, err := Compose(t.Context(), m, testBlob)
			if store.CodeOf(err) != store.CodeInvalid {
				t.Errorf("%s = %q: %v\n%s", name, bad, err, raw)
			}
			if err != nil && strings.Contains(err.Error(), "evil") {
				t.Errorf("%s: the error shows the value: %v", name, err)
			}
		}
		for _, odd := range []string{"\u202eRLO", `quo"ted`, `back\slash`, "=?utf-8?q?=0D=0ABcc:_x?=", "a, b", "(comment", "<x@evil.example>", strings.Repeat("long ", 300), strings.Repeat("ü", 900), "  two  blanks  "} {
			m := sampleMail()
			apply(&m, odd)
			raw, err := Compose(t.Context(), m, testBlob)
			if err == nil {
				checkFields(t, name+" = "+odd, string(raw))
			}
		}
	}
}

var allowedFields = []string{
	"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
	"Auto-Submitted", "X-Auto-Response-Suppress", "x-ms-reactions", "X-Ticketgate-Loop",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

func checkFields(t testing.TB, what, raw string) {
	t.Helper()
	seen := map[string]bool{}
	for _, field := range fieldsOf(t, raw) {
		name, _, _ := strings.Cut(field, ":")
		known := false
		for _, allowed := range allowedFields {
			known = known || name == allowed
		}
		if !known || seen[name] {
			t.Errorf("%s: the field %q\n%s", what, name, raw)
		}
		seen[name] = true
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(raw, "\r\n"), "\r\n") {
		if len(line) > maxLine || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("%s: the line %q", what, line)
		}
	}
}

func TestCheckWire(t *testing.T) {
	for raw, ok := range map[string]bool{
		"A: b\r\n\r\nx\r\n":     true,
		"A: ü\r\n\r\nx\r\n":     true,
		"A: b\r\n\r\nü\r\n":     false,
		"A: b\r\n\r\nx":         false,
		"A: b\r\n\r\nx\ny\r\n":  false,
		"A: b\r\n\r\nx\ry\r\n":  false,
		"A: b\r\n\r\nx\x00\r\n": false,
		"A: b\r\n\r\n" + strings.Repeat("x", 998) + "\r\n": true,
		"A: b\r\n\r\n" + strings.Repeat("x", 999) + "\r\n": false,
	} {
		if err := checkWire([]byte(raw), true); (err == nil) != ok {
			t.Errorf("%.30q: %v", raw, err)
		}
	}
	if checkWire([]byte("A: ü\r\n\r\n"), false) == nil {
		t.Error("8-bit header taken where 7 bits are wanted")
	}
}

func FuzzComposeHeader(f *testing.F) {
	f.Add("Re: hello", "Anna", "a@example.org", "id@example.org", "file.txt")
	f.Add("=?utf-8?q?=0D=0A?=", `"quo\"te`, `"a b"@bücher.example`, "x@y", "ü;\".txt")
	f.Add("a\r\nBcc: x", "\u202e", "a@b\r\n", "<x>", "../..\\")
	f.Fuzz(func(t *testing.T, subject, name, address, id, file string) {
		m := sampleMail()
		m.Subject, m.To[0].Name, m.Cc = subject, name, []store.Address{{Name: subject, Address: address}}
		m.References, m.LoopMark = []string{id, id}, name
		m.Parts = []store.MailPart{{Name: file, Type: name, Hash: "png"}}
		raw, err := Compose(t.Context(), m, testBlob)
		if err != nil {
			return
		}
		checkFields(t, "fuzzed", string(raw))
		if !utf8.Valid(raw) {
			t.Error("broken UTF-8")
		}
		if _, err := mail.ReadMessage(bytes.NewReader(raw)); err != nil {
			t.Error(err)
		}
	})
}
