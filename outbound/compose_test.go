package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func sampleMail() store.Mail {
	return store.Mail{
		ID: "m1", Kind: store.MailAnswer, Ticket: 10001,
		MailContent: store.MailContent{
			From:      store.Address{Name: "Anna via Support", Address: "support@example.org"},
			To:        []store.Address{{Name: "Jürgen Müller", Address: "juergen@example.net"}},
			ReplyTo:   "support+token@example.org",
			Subject:   "Re: [T#10001] Printer",
			Date:      time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
			MessageID: "abc.token@example.org",
			InReplyTo: "their@example.net",
			References: []string{
				"first@example.net", "their@example.net",
			},
			Text: "Dear customer,\n\nit works – now.\n",
			HTML: "<p>Dear customer,</p><p>it works – now.</p>",
		},
	}
}

var testBlobs = map[string][]byte{"png": []byte("\x89PNG\r\n\x1a\n\x00binary"), "pdf": bytes.Repeat([]byte("%PDF "), 100), "empty": nil}

func testBlob(_ context.Context, hash string) ([]byte, error) {
	data, ok := testBlobs[hash]
	if !ok {
		return nil, errors.New("no such blob")
	}
	return data, nil
}

func mustCompose(t testing.TB, m store.Mail) string {
	t.Helper()
	raw, err := Compose(t.Context(), m, testBlob)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// fieldsOf lists the header fields of a message, unfolded.
func fieldsOf(t testing.TB, raw string) []string {
	t.Helper()
	head, _, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		t.Fatal("no header")
	}
	return strings.Split(regexp.MustCompile("\r\n[ \t]").ReplaceAllString(head, " "), "\r\n")
}

func TestComposeHeader(t *testing.T) {
	got := strings.Join(fieldsOf(t, mustCompose(t, sampleMail())), "\n")
	want := regexp.MustCompile(`^From: Anna via Support <support@example\.org>
To: =\?utf-8\?b\?SsO8cmdlbiBNw7xsbGVy\?= <juergen@example\.net>
Reply-To: support\+token@example\.org
Subject: Re: \[T#10001\] Printer
Date: Sun, 01 Mar 2026 12:00:00 \+0000
Message-ID: <abc\.token@example\.org>
In-Reply-To: <their@example\.net>
References: <first@example\.net> <their@example\.net>
x-ms-reactions: disallow
MIME-Version: 1\.0
Content-Type: multipart/alternative; boundary="=_[0-9a-f]{24}"$`)
	if !want.MatchString(got) {
		t.Errorf("header:\n%s", got)
	}
}

func TestComposeSameBytesEachTime(t *testing.T) {
	m := sampleMail()
	m.Parts = []store.MailPart{{Name: "a.pdf", Type: "application/pdf", Hash: "pdf"}}
	first, second := mustCompose(t, m), mustCompose(t, m)
	if first != second {
		t.Error("two attempts differ")
	}
}

// TestComposeStructure shows the tree by its content types, as our own parser
// of headers and Go's multipart reader see it.
func TestComposeStructure(t *testing.T) {
	image := store.MailPart{Name: "logo.png", Type: "image/png", Hash: "png", ContentID: "logo@x", Inline: true}
	file := store.MailPart{Name: "a.pdf", Type: "application/pdf", Hash: "pdf"}
	for _, c := range []struct {
		name   string
		change func(*store.Mail)
		want   string
	}{
		{"answer", func(*store.Mail) {}, "alternative(plain html)"},
		{"answer of text alone", func(m *store.Mail) { m.HTML = "" }, "alternative(plain html)"},
		{"answer of HTML alone", func(m *store.Mail) { m.Text = "" }, "alternative(plain html)"},
		{"notification of text alone", func(m *store.Mail) { m.Kind, m.HTML = store.MailNotification, "" }, "plain"},
		{"image in the HTML", func(m *store.Mail) { m.Parts = []store.MailPart{image} }, "alternative(plain related(html png))"},
		{"file", func(m *store.Mail) { m.Parts = []store.MailPart{file} }, "mixed(alternative(plain html) pdf)"},
		{"both", func(m *store.Mail) { m.Parts = []store.MailPart{file, image} }, "mixed(alternative(plain related(html png)) pdf)"},
		{"file to plain text", func(m *store.Mail) {
			m.Kind, m.HTML, m.Parts = store.MailAck, "", []store.MailPart{image}
		}, "mixed(plain png)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sampleMail()
			c.change(&m)
			if got := shape(t, []byte(mustCompose(t, m))); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestComposeBothTexts(t *testing.T) {
	m := sampleMail()
	m.HTML, m.Text = "", "1 < 2 & <script>\nsecond – line"
	parsed := message.Parse([]byte(mustCompose(t, m)))
	if !strings.Contains(parsed.Text, "1 < 2 & <script>") {
		t.Errorf("text: %q", parsed.Text)
	}
	if raw := mustCompose(t, m); !strings.Contains(raw, "1 &lt; 2 &amp; &lt;script&gt;") {
		t.Errorf("the HTML made of text is not escaped:\n%s", raw)
	}
	m.HTML, m.Text = "<p>only HTML</p>", ""
	if parsed = message.Parse([]byte(mustCompose(t, m))); !strings.Contains(parsed.Text, "only HTML") {
		t.Errorf("text made of HTML: %q", parsed.Text)
	}
}

func TestComposeMarks(t *testing.T) {
	m := sampleMail()
	m.Kind, m.AutoSubmitted, m.LoopMark, m.To = store.MailAck, "auto-replied", "mark.123", nil
	got := strings.Join(fieldsOf(t, mustCompose(t, m)), "\n")
	for _, want := range []string{
		"Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All",
		"X-Ticketgate-Loop: mark.123", "To: undisclosed-recipients:;",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if got = mustCompose(t, sampleMail()); strings.Contains(got, "Auto-") || strings.Contains(got, "Precedence") || strings.Contains(got, "Bcc") {
		t.Errorf("a person's answer is marked:\n%s", got)
	}
}

// TestQ20References: 500 ids of a thread give the first and the last 20, folded.
func TestQ20References(t *testing.T) {
	m := sampleMail()
	m.References = nil
	for i := range 500 {
		m.References = append(m.References, fmt.Sprintf("%d.%s@example.org", i, strings.Repeat("x", 40)))
	}
	m.References[3] = "has a blank@example.org"
	m.References[4] = "ümlaut@example.org"
	m.References[5] = strings.Repeat("x", 950) + "@example.org"
	raw := mustCompose(t, m)
	parsed := message.Parse([]byte(raw))
	if len(parsed.References) != 37 || parsed.References[0] != m.References[0] || parsed.References[36] != m.References[499] {
		t.Errorf("%d references: %v", len(parsed.References), parsed.References)
	}
	for line := range strings.Lines(raw) {
		if len(line) > 80 {
			t.Errorf("a line of %d octets: %s", len(line), line)
		}
	}
}

// TestQ17HeaderInjection: no value breaks out of its field.
// allowedFields is what a message of ours may bear on top.
// TestComposeNamesSurvive: what was typed is what a strict reader gets back.
func TestComposeNamesSurvive(t *testing.T) {
	for _, name := range []string{
		"Plain Name", "Müller, Jürgen", `The "Boss"`, `back\slash`, "日本語の名前がとても長いので二つの語に分かれる必要があります",
		"=?utf-8?q?fake?=", "a@b.example", "Dr. Who", strings.Repeat("name ", 60) + "end", "😀 smile",
		strings.Repeat("x", 200),
	} {
		m := sampleMail()
		m.To = []store.Address{{Name: name, Address: "a@example.net"}, {Name: name, Address: "b@example.net"}}
		m.Subject = name
		raw := mustCompose(t, m)
		parsed, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		list, err := parsed.Header.AddressList("To")
		if err != nil || len(list) != 2 || list[0].Name != name || list[1].Name != name || list[1].Address != "b@example.net" {
			t.Errorf("%q came back as %v, %v", name, list, err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		if err != nil || subject != name {
			t.Errorf("subject %q came back as %q, %v", name, subject, err)
		}
		for line := range strings.Lines(raw) {
			if len(line) > foldAt+2 && !strings.Contains(line, "x") {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
	}
}

func TestComposeAddresses(t *testing.T) {
	m := sampleMail()
	m.To = []store.Address{{Address: "info@bücher.example"}, {Name: "J", Address: "jürgen@bücher.example"}, {Address: `"odd local"@example.net`}}
	raw := mustCompose(t, m)
	if want := "To: info@xn--bcher-kva.example, J <jürgen@xn--bcher-kva.example>, \"odd local\"@example.net"; !strings.Contains(strings.Join(fieldsOf(t, raw), "\n"), want) {
		t.Errorf("no %q in\n%s", want, raw)
	}
	ascii, err := compose(t.Context(), m, testBlob, false)
	if err != nil || !isASCII(string(ascii)) {
		t.Errorf("7-bit form: %v\n%s", err, ascii)
	}
	if list := message.Parse(ascii); len(list.To) < 2 {
		t.Errorf("To of the 7-bit form: %v\n%s", list.To, ascii)
	}
	for _, bad := range []string{"", "none", "a b@example.org", "a@b@c", "a@exa mple.org", "a@-x.example", "a>@example.org", "<a@example.org>"} {
		m := sampleMail()
		m.To = []store.Address{{Address: bad}}
		if _, err := Compose(t.Context(), m, testBlob); store.CodeOf(err) != store.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestComposeFileNames(t *testing.T) {
	for _, name := range []string{
		"report.pdf", "two words.pdf", `quo"te.pdf`, "Übersicht März.pdf", "日本語.txt",
		strings.Repeat("sehr langer Name ", 12) + ".pdf", strings.Repeat("ü", 250), "semi;colon=.txt", "100%.txt",
	} {
		m := sampleMail()
		m.Parts = []store.MailPart{{Name: name, Type: "application/pdf", Hash: "pdf"}}
		raw := mustCompose(t, m)
		i := strings.Index(raw, "Content-Disposition: ")
		value, _, _ := strings.Cut(strings.ReplaceAll(raw[i:], "\r\n ", " "), "\r\n")
		kind, params, err := mime.ParseMediaType(strings.TrimPrefix(value, "Content-Disposition: "))
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Errorf("%q came back as %q, %v in %q", name, params["filename"], err, value)
		}
		checkFields(t, name, raw)
	}
}

func TestComposeFileTypes(t *testing.T) {
	for typed, want := range map[string]string{
		"application/pdf": "application/pdf", "text/csv; charset=utf-8": "text/csv; charset=utf-8",
		"": "application/octet-stream", "nonsense": "application/octet-stream",
		"message/rfc822": "application/octet-stream", "multipart/mixed; boundary=x": "application/octet-stream",
		`image/png; name="x"`: "image/png", "text/plain; charset=\"a b\"": "text/plain",
	} {
		if got := fileType(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

// TestQ19Body: bare line ends, long lines and lone dots leave as quoted-printable.
func TestQ19Body(t *testing.T) {
	m := sampleMail()
	m.HTML = ""
	m.Text = "bare\nLF\rCR\r\nboth\n.\n..\n" + strings.Repeat("long", 1250) + "\n.\r\nMAIL FROM:<x>\x00\n"
	raw := mustCompose(t, m)
	checkFields(t, "body", raw)
	parsed := message.Parse([]byte(raw))
	for _, want := range []string{"bare\nLF\nCR\nboth\n.\n..\n", strings.Repeat("long", 1250)} {
		if !strings.Contains(strings.ReplaceAll(parsed.Text, "\r\n", "\n"), want) {
			t.Errorf("the text lost %.40q", want)
		}
	}
}

// TestQ24NoBcc: Compose does not know who else gets the mail, and a blob that
// can't be read stops it.
func TestQ24NoBcc(t *testing.T) {
	m := sampleMail()
	m.Parts = []store.MailPart{{Name: "x", Hash: "missing"}}
	if raw, err := Compose(t.Context(), m, testBlob); err == nil {
		t.Errorf("composed without its file:\n%s", raw)
	}
	if raw := mustCompose(t, sampleMail()); regexp.MustCompile("(?mi)^bcc").MatchString(raw) {
		t.Error("there is a Bcc")
	}
}

// FuzzComposeHeader: whatever the values are, the message is refused or has
// exactly the fields that are meant.
func BenchmarkCompose(b *testing.B) {
	m := sampleMail()
	m.Text = strings.Repeat("A line of an answer, as people write it.\n", 60)
	m.HTML = "<p>" + strings.Repeat("A line of an answer, as people write it.<br>", 60) + "</p>"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compose(b.Context(), m, testBlob); err != nil {
			b.Fatal(err)
		}
	}
}
