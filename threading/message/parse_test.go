package message

import (
	"fmt"
	"strings"
	"testing"
)

// mail makes a mail of header lines and a body.
func mail(header, body string) []byte {
	return []byte(strings.ReplaceAll(header+"\n\n"+body, "\n", "\r\n"))
}

func parts(list ...string) string {
	var b strings.Builder
	for _, p := range list {
		b.WriteString("--b\n" + p + "\n")
	}
	return b.String() + "--b--\n"
}

const mixed = "Content-Type: multipart/mixed; boundary=b"

func hasDefect(m *Message, word string) bool {
	for _, d := range m.Defects {
		if strings.HasPrefix(d, word) {
			return true
		}
	}
	return false
}

func names(m *Message) string {
	var out []string
	for _, a := range m.Attachments {
		out = append(out, a.Name)
	}
	return strings.Join(out, "|")
}

func TestExcess(t *testing.T) {
	nested := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String() + "\ndeep"
	}
	for _, c := range []struct{ name, raw, want string }{
		{"30 Received", strings.Repeat("Received: x\n", 30) + "\n", ""},
		{"31 Received", strings.Repeat("Received: x\n", 31) + "\n", "received"},
		{"M06 1000 fields", strings.Repeat("X: y\n", 1000) + "\n", ""},
		{"M06 1001 fields", strings.Repeat("X: y\n", 1001) + "\n", "header_fields"},
		{"M06 256 KiB", "X: " + strings.Repeat("a", 256<<10-4) + "\n\nb", ""},
		{"M06 over 256 KiB", "X: " + strings.Repeat("a", 256<<10-3) + "\n\nb", "header_bytes"},
		{"M01 100 levels", nested(100), ""},
		{"M01 101 levels", nested(101), "depth"},
		{"M01 1000 parts", mixed + "\n\n" + strings.Repeat("--b\n\nx\n", 1000), ""},
		{"M01 1001 parts", mixed + "\n\n" + strings.Repeat("--b\n\nx\n", 1001), "parts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m := Parse([]byte(c.raw)); m.Excess != c.want {
				t.Errorf("got %q, want %q", m.Excess, c.want)
			}
		})
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		name, header, body  string
		text, files, defect string
	}{
		{"M10 nothing at all", "", "", "", "", "from_missing"},
		{"M03 base64 on a multipart", mixed + "\nContent-Transfer-Encoding: base64", parts("\nwords"), "words", "", "encoding_on_multipart"},
		{"M03 base64 multipart without parts", mixed + "\nContent-Transfer-Encoding: base64", "aGVsbG8=", "", "attachment.bin", "multipart_without_parts"},
		{"M03 unknown encoding", "Content-Transfer-Encoding: x-rot13", "uryyb", "uryyb", "", "encoding_unknown"},
		{"M02 broken base64", "Content-Transfer-Encoding: base64", "aGVs*bG8gd29ybGQ", "hello world", "", "base64_broken"},
		{"M10 footer after base64", "Content-Transfer-Encoding: base64", "aGVsbG8=\n_____\nfooter words", "hello", "", "base64_trailing_text"},
		{"M04 unknown charset", "Content-Type: text/plain; charset=x-nobody", "caf\xe9", "café", "", "charset_unknown"},
		{"M04 wrong label", "Content-Type: text/plain; charset=us-ascii", "caf\xc3\xa9", "café", "", ""},
		{"M04 UTF-16", "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64", "aABpAA==", "hi", "", ""},
		{"M05 two boundaries", "Content-Type: multipart/mixed; boundary=A; boundary*0=b", parts("\nwords"), "words", "", "mime_ambiguous"},
		{"M05 quoted-printable boundary", mixed + "\nContent-Transfer-Encoding: quoted-printable", parts("\nx=3D"), "x=3D", "", "encoding_on_multipart"},
		{"M07 boundary with a blank", "Content-Type: multipart/mixed; boundary=a c", "--a c\n\nwords\n--a c--", "words", "", ""},
		{"M07 open quote", "Content-Type: text/html; charset=\"utf-8", "<p>caf\xc3\xa9", "café", "", ""},
		{"no boundary", "Content-Type: multipart/mixed", "--xx\nContent-Type: text/plain\n\nwords\n--xx--", "words", "", "boundary_guessed"},
		{"wrong boundary", "Content-Type: multipart/mixed; boundary=zz", "--xx\nContent-Type: text/plain\n\nwords\n--xx--", "words", "", "boundary_guessed"},
		{"no parts", mixed, "only words", "only words", "", "multipart_without_parts"},
		{"no end", mixed, "--b\n\nwords", "words", "", "boundary_without_end"},
		{"part without blank line", mixed, "--b\nContent-Type: text/plain\n--b\n\nwords\n--b--", "words", "", ""},
		{"inner boundary begins like the outer", mixed, "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\n--b\n\ntwo\n--b--", "one\n\ntwo", "", ""},
		{"M08 unquoted name", mixed, parts("\nhi", "Content-Type: text/plain\nContent-Disposition: attachment; filename=foo bar.txt\n\nx"), "hi", "foo bar.txt", ""},
		{"M08 raw name", mixed, parts("\nhi", "Content-Type: application/pdf\nContent-Disposition: attachment; filename=\xc3\xa9.pdf\n\nx"), "hi", "é.pdf", ""},
		{"text with a name is a file", mixed, parts("\nhi", "Content-Type: text/plain; name=log.txt\nContent-Disposition: inline\n\nx"), "hi", "log.txt", ""},
		{"texts are joined", mixed, parts("\none", "\ntwo"), "one\n\ntwo", "", ""},
		{"alternative without plain", "Content-Type: multipart/alternative; boundary=b", parts("Content-Type: text/html\n\n<p>x</p>"), "x", "", ""},
		{"alternative with an empty plain", "Content-Type: multipart/alternative; boundary=b", parts("\n \n", "Content-Type: text/html\n\n<p>x</p>"), "x", "", ""},
		{"M14 external body", mixed, parts("\nhi", "Content-Type: message/external-body; access-type=URL; URL=\"http://x\"\n\n"), "hi", "attachment.bin", ""},
		{"nested mail", mixed, parts("\nhi", "Content-Type: message/rfc822\n\nSubject: a/b: c\n\nx"), "hi", "b_ c.eml", ""},
		{"digest", "Content-Type: multipart/digest; boundary=b", parts("\nSubject: one\n\nx"), "", "one.eml", ""},
		{"PGP", "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b", parts("Content-Type: application/pgp-encrypted\n\nVersion: 1", "Content-Type: application/octet-stream; name=encrypted.asc\n\nx"), "", "pgp-version.txt|encrypted.asc", ""},
		{"TNEF", mixed, parts("\nhi", "Content-Type: application/ms-tnef\n\nx"), "hi", "winmail.dat", ""},
		{"vCard", mixed, parts("\nhi", "Content-Type: text/vcard\n\nx"), "hi", "contact.vcf", ""},
		{"uuencode", "", "see\nbegin 644 a.txt\n#86)C\n`\nend\nabove", "see\nabove", "a.txt", ""},
		{"uuencoded part", mixed, parts("\nhi", "Content-Type: application/x; name=u.bin\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 u\n#86)C\n`\nend"), "hi", "u.bin", ""},
		{"only a file", "Content-Type: application/pdf", "x", "", "attachment.pdf", ""},
		{"meta charset", "Content-Type: text/html", "<meta charset=koi8-r><p>\xc1", "а", "", ""},
		{"format flowed", "Content-Type: text/plain; format=flowed; delsp=yes", "a \nb\n> c \n> d\n-- \nsig", "ab\n> cd\n-- \nsig", "", ""},
		{"M15 zip stays closed", mixed, parts("\nhi", "Content-Type: application/zip; name=a.zip\n\nPK"), "hi", "a.zip", ""},
		{"an open comment swallows no neighbour", mixed, parts("Content-Type: text/html\n\n<p>a</p><!--", "Content-Type: text/html\n\n<p>b</p>"), "a\n\nb", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Parse(mail(c.header, c.body))
			checkSafe(t, m)
			if m.Text != c.text || names(m) != c.files || c.defect != "" && !hasDefect(m, c.defect) {
				t.Errorf("text %q, files %q, defects %q", m.Text, names(m), m.Defects)
			}
		})
	}
}

func TestAttachmentNames(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"M12 path", `filename="../../etc/passwd"`, "passwd"},
		{"M12 backslashes", `filename="..\..\x.exe"`, "x.exe"},
		{"M12 percent path", `filename*=utf-8''..%2f..%2fetc%2fpasswd`, "passwd"},
		{"M12 NUL", `filename*=utf-8''a%00b.txt`, "ab.txt"},
		{"M12 RLO", `filename*=utf-8''%E2%80%AEgpj.exe`, "gpj.exe"},
		{"M12 zero width and dot", `filename*=utf-8''%E2%80%8B.htaccess`, "htaccess"},
		{"M12 device", `filename=CON`, "_CON"},
		{"M12 device with extension", `filename=com1.txt`, "_com1.txt"},
		{"M12 10 kB", `filename="` + strings.Repeat("ä", 5000) + `.pdf"`, strings.Repeat("ä", 125) + ".pdf"},
		{"M12 CRLF and quote", `filename="=?utf-8?Q?a=0D=0A=22b.txt?="`, "a  _b.txt"},
		{"continuations", `filename*0*=utf-8''%C3%A4; filename*1="b"; filename*2*=%C3%B6.txt`, "äbö.txt"},
		{"encoded words", `filename="=?utf-8?B?w6Q=?= =?utf-8?B?w7YudHh0?="`, "äö.txt"},
		{"latin-1 extended", `filename*=iso-8859-1''%E9.txt`, "é.txt"},
		{"quotes in quotes", `filename="a "b" c.txt"`, "a _b_ c.txt"},
		{"name of the type", ``, "from-type.bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Parse(mail("Content-Type: application/x-y; name=from-type.bin\nContent-Disposition: attachment; "+c.in, "x"))
			if names(m) != c.want {
				t.Errorf("got %q, want %q", names(m), c.want)
			}
		})
	}
	m := Parse(mail("Content-Type: image/png\nContent-Disposition: attachment; filename=a.txt; filename*=utf-8''evil.html", "x"))
	if names(m) != "evil.html" || !hasDefect(m, "mime_ambiguous") {
		t.Errorf("M13: %q %q", names(m), m.Defects)
	}
}

func TestAuthor(t *testing.T) {
	for in, want := range map[string]bool{
		"From: a@b.example":                               true,
		"From: \"Ann, Doe\" <a@b.example>":                true,
		"From: a@b.example, c@d.example":                  false, // T20
		"From: a@b.example\nFrom: a@b.example":            false, // T19
		"From : a@b.example\nfrom: c@d.example":           false, // T19
		"From: undisclosed: ;":                            false,
		"From: Team: a@b.example;":                        false,
		"From:":                                           false, // T17
		"Sender: a@b.example":                             false, // T16
		"From: <@legit.example:a@attack.example>":         false, // T15
		"From: <a@legit.example> <b@attack.example>":      false,
		"From: a@legit.example b@attack.example":          false,
		"From: =?utf-8?q?a=40b.example?=":                 false,
		"From: a@b.example\x00":                           false, // T18
		"From: <\"admin@legit.example\"@attack.example>":  true,  // T14: its domain is attack.example
		"From: John, Doe <a@b.example>":                   false,
		"From: MAILER-DAEMON":                             false,
		"From: a@b.example\nResent-From: c@d.example\nX:": true,
	} {
		m := Parse(mail(in, "x"))
		a, ok := m.Author()
		if ok != want {
			t.Errorf("%q: %v %+v", in, ok, a)
		}
		if ok && strings.Contains(in, "attack") && a.Domain != "attack.example" {
			t.Errorf("%q has the domain %q", in, a.Domain)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for _, c := range []struct{ name, in, want, defect string }{
		{"plain", "<a@b>", "a@b", ""},
		{"M11 absent", "", "", "message_id_missing"},
		{"M11 100 kB", "<" + strings.Repeat(long, 100) + ">", "", "message_id_too_long"},
		{"M11 NUL", "<a\x00@b>", "a@b", ""},
		{"M11 folded inside", "<a\n @b>", "a@b", ""},
		{"no brackets", "a@b (c)", "a@b", ""},
		{"empty brackets", "<>", "", "message_id_unusable"},
		{"comment before", "(x) <a@b>", "a@b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Parse(mail("Message-ID: "+c.in, "x"))
			if m.MessageID != c.want || c.defect != "" && !hasDefect(m, c.defect) {
				t.Errorf("got %.50q, %q", m.MessageID, m.Defects)
			}
		})
	}
	m := Parse(mail("Message-ID: <top@b>\nMessage-ID: <low@b>", "x"))
	if m.MessageID != "low@b" || strings.Join(m.Duplicated, ",") != "Message-ID" {
		t.Errorf("M11 twice: %q %q", m.MessageID, m.Duplicated)
	}
	if got := strings.Join(ParseIDs("<a@b> (c) <d\t@e>,<a@b>\r\n <f@g"), "|"); got != "a@b|d@e|f@g" {
		t.Errorf("ids %q", got)
	}
	if got := strings.Join(ParseIDs("Your mail of today, a@b c"), "|"); got != "a@b" {
		t.Errorf("ids without brackets %q", got)
	}
	if got := len(ParseIDs(strings.Repeat("<a@b>", 10) + numbered(500))); got != 200 {
		t.Errorf("M07 %d ids", got)
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<%d@x>", i)
	}
	return b.String()
}

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"Sun, 22 Nov 2026 11:00:00 +0100":       "2026-11-22T10:00:00Z",
		"22 Nov 2026 11:00 GMT":                 "2026-11-22T11:00:00Z",
		"Sun, 22 Nov 2026 11:00:00 -0000 (UTC)": "2026-11-22T11:00:00Z",
		"Fri, 21 Nov 97 09:55:06 EST":           "1997-11-21T14:55:06Z",
		"21-Nov-2026 09:55:06 +0000":            "2026-11-21T09:55:06Z",
		"Nov 21 09:55:06 2026":                  "2026-11-21T09:55:06Z",
		"2026-11-21T09:55:06Z":                  "2026-11-21T09:55:06Z",
		"Thu, 1 Jan 1970 00:00:00 +0000":        "1970-01-01T00:00:00Z",
		"Thu, 1 Jan 2099 00:00:00 +0000":        "2099-01-01T00:00:00Z",
		"Sun, 22 Nov 2026 11:00:00 nonsense":    "2026-11-22T11:00:00Z",
		"yesterday":                             "",
		"31 Feb 2026 10:00:00 +0000":            "",
		"22 Nov 2026 25:00:00 +0000":            "",
		"":                                      "",
		strings.Repeat("1 ", 200):               "",
	} {
		got := ParseDate(in)
		if want == "" && got.IsZero() {
			continue
		}
		if s := got.UTC().Format("2006-01-02T15:04:05Z"); s != want {
			t.Errorf("M16 %q: got %s, want %q", in, s, want)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Hello", "Hello"},
		{"Q", "=?utf-8?Q?caf=C3=A9_x?=", "café x"},
		{"letter cut in two", "=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"},
		{"text between", "a =?utf-8?q?b?= c", "a b c"},
		{"glued", "a=?utf-8?q?b?=c", "abc"},
		{"two charsets", "=?iso-8859-1?q?=E9?= =?utf-8?b?w6k=?=", "éé"},
		{"M11 one broken word", "=?utf-8?x?a?= =?utf-8?q?b?=", "=?utf-8?x?a?= b"},
		{"unknown charset", "=?x-nobody?q?caf=E9?=", "café"},
		{"no padding", "=?utf-8?b?w6k?=", "é"},
		{"blanks inside", "=?utf-8?Q?a b?=", "a b"},
		{"language", "=?utf-8*de?q?=C3=A4?=", "ä"},
		{"T22 controls", "=?utf-8?q?a=0D=0AX:=00=E2=80=AEb?=", "a  X:b"},
		{"raw latin-1", "caf\xe9", "café"},
		{"raw UTF-8 and a bad byte", "\xe2\x82\xac \xe2\x82\xac \xff", "€ € ÿ"},
		{"Japanese", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"family of emoji", "=?utf-8?b?8J+RqOKAjfCfkak=?=", "👨\u200d👩"},
	} {
		if got := DecodeHeader(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAutomatic(t *testing.T) {
	for _, c := range []struct{ header, kind string }{
		{"From: a@b.example", ""},
		{"From: a@b.example\nAuto-Submitted: no", ""},
		{"From: a@b.example\nX-Auto-Response-Suppress: None", ""},
		{"From: a@b.example\nX-MS-Reactions: disallow", ""},
		{"From: a@b.example\nSubject: Order not delivered", ""},
		{"Auto-Submitted: auto-replied", "auto_reply"},
		{"Auto-Submitted: auto-generated", "notification"},
		{"Auto-Submitted: auto-notified; owner-email=x", "notification"},
		{"X-Autoreply: yes", "auto_reply"},
		{"X-Autorespond: x", "auto_reply"},
		{"Precedence: auto_reply", "auto_reply"},
		{"Precedence: bulk", "notification"},
		{"Precedence: first-class\nPrecedence: junk", "notification"},
		{"Precedence: list", "list"},
		{"List-Id: <x.example>", "list"},
		{"List-Unsubscribe: <https://x.example>", "list"},
		{"X-Auto-Response-Suppress: OOF, AutoReply", "notification"},
		{"Return-Path: <>", "notification"},
		{"From: MAILER-DAEMON@b.example", "notification"},
		{"From: owner-list@b.example", "list"},
		{"From: list-request@b.example", "list"},
		{"From: no-reply@b.example", "notification"},
		{"Subject: =?utf-8?q?Abwesenheitsnotiz:_x?=", "auto_reply"},
		{"Subject: Out of Office: x", "auto_reply"},
		{"Content-Type: multipart/report; report-type=disposition-notification; boundary=b", "receipt"},
		{"Content-Type: multipart/report; report-type=feedback-report; boundary=b", "feedback"},
		{"Content-Type: text/calendar; method=REPLY", "calendar"},
		{"Content-Type: text/vnd.google.email-reaction+json", "reaction"},
	} {
		m := Parse(mail(c.header, "x"))
		if m.Automatic.Kind != c.kind || m.Automatic.Is != (c.kind != "") || m.Automatic.Is != (len(m.Automatic.Reasons) > 0) {
			t.Errorf("T23 %q: %+v", c.header, m.Automatic)
		}
	}
}

func TestReplyText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"only words", "Hello\n\nyou", "Hello\n\nyou"},
		{"quote below", "Yes.\n\nOn Mon, 1 Jan 2024 Ann <a@b.c> wrote:\n> Really?", "Yes."},
		{"answer between the lines", "On Mon, 1 Jan 2024 Ann <a@b.c> wrote:\n> One?\nYes.\n> Two?\nNo.", "Yes.\n\nNo."},
		{"signature", "Yes.\n-- \nAnn", "Yes."},
		{"only a quote is kept", "> Really?", "> Really?"},
		{"a list of hyphens is no signature", "a\n- b\n- c", "a\n- b\n- c"},
		{"wrote in a sentence", "I wrote:\nplease come", "I wrote:\nplease come"},
		{"From: in a sentence", "From: the start\nit was good", "From: the start\nit was good"},
		{"German", "Ja.\n\nAm 01.02.2024 um 10:00 schrieb Ann <a@b.c>:\n> Wirklich?", "Ja."},
		{"Outlook", "Yes.\n\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: x\n\nold", "Yes."},
		{"forward without words is kept", "---------- Forwarded message ---------\nFrom: Ann\nDate: x\nSubject: y\n\nold", "---------- Forwarded message ---------\nFrom: Ann\nDate: x\nSubject: y\n\nold"},
		{"Sent in a sentence", "Hello\n\nSent via DHL on Monday\n\nplease check", "Hello\n\nSent via DHL on Monday\n\nplease check"},
		{"telephone", "Yes.\n\nSent from my iPhone", "Yes."},
	} {
		if got := replyText(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a\x00b": "ab", "\xff": "\ufffd", "\xed\xa0\x80": "\ufffd", "\r\n\t\u202e": "\r\n\t\u202e"} {
		if got := Clean(in); got != want {
			t.Errorf("M09 %q: %q", in, got)
		}
	}
	for in, want := range map[string]string{" a\r\nb\t": "a  b", "a\u202eb\u200bc\ufeff": "abc", "می\u200cخواهم": "می\u200cخواهم", "a\u200db": "ab"} {
		if got := CleanLine(in); got != want {
			t.Errorf("T22 %q: %q", in, got)
		}
	}
}

// What stands above a mark of ours is the reply, whatever the mail program puts
// between; nothing below it is ever taken for one.
func TestReplyAbove(t *testing.T) {
	const mark = "[mark]"
	for name, c := range map[string]struct{ text, want string }{
		"quoted":                {"Yes.\n\nOn Sunday Support wrote:\n> [mark] words\n> more", "Yes."},
		"an unknown language":   {"Yes.\n\nДен Sonntag skribis Support <s@x.example> 12:00:\n> [mark] words", "Yes."},
		"Outlook":               {"Yes.\n\n-----Original Message-----\nFrom: Support\nSent: Sunday\nTo: Anna\nSubject: x\n\n[mark] words\nmore", "Yes."},
		"Outlook, no word":      {"-----Original Message-----\nFrom: Support\nSent: Sunday\nTo: Anna\nSubject: x\n\n[mark] words", ""},
		"Outlook's fields":      {"Yes.\n\nFrom: Support\nSent: Sunday\nTo: Anna\nSubject: x\n\n[mark] words", "Yes."},
		"fields, unknown":       {"Yes.\n\nFeladó: Support\n*Címzett:* Anna\nTárgy: x\n\n[mark] words", "Yes."},
		"one line like a field": {"Answer: yes.\n\n[mark] words", "Answer: yes."},
		"with a signature":      {"Yes.\n\n-- \nAnna\nPhone 1\n\n> [mark] words", "Yes."},
		"no word":               {"On Sunday Support <s@x.example> wrote:\n> [mark] words\n> more", ""},
		"nothing above at all":  {"[mark] words", ""},
		"below":                 {"> [mark] words\n\nYes, below.", ""},
	} {
		if got, found := ReplyAbove(c.text, mark); got != c.want || !found {
			t.Errorf("%s: %q, %v; want %q", name, got, found, c.want)
		}
	}
	if _, found := ReplyAbove("Yes.", mark); found {
		t.Error("a mark was found where there is none")
	}
}
