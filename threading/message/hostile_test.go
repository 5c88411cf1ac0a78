package message

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are inputs that make careless parsers slow or greedy, by their size.
var hostile = []struct {
	name string
	make func(n int) string
}{
	{"M06 one long field", func(n int) string { return "X: " + strings.Repeat("a", n) + "\r\n\r\n" }},
	{"D1 one field of folded lines", func(n int) string { return "X: a" + strings.Repeat("\r\n ", n/3) + "\r\n\r\n" }},
	{"M06 many fields", func(n int) string { return strings.Repeat("X: y\r\n", n/6) + "\r\n" }},
	{"bad lines", func(n int) string { return strings.Repeat("bad\r\nX: y\r\n", n/11) + "\r\n" }},
	{"M07 comments in From", func(n int) string { return "From: " + strings.Repeat("(", n) + "\r\n\r\n" }},
	{"closed comments", func(n int) string { return "From: " + strings.Repeat("(a)", n/3) + "\r\n\r\n" }},
	{"angles", func(n int) string { return "From: " + strings.Repeat("<", n) + "\r\n\r\n" }},
	{"angles with escaped quotes", func(n int) string { return "From: <" + strings.Repeat(`"\`, n/2) + "\r\n\r\n" }},
	{"colons after an at", func(n int) string {
		return "From: a@" + strings.Repeat("b", n/2) + strings.Repeat(":", n/2) + "\r\n\r\n"
	}},
	{"commas", func(n int) string { return "To: " + strings.Repeat("a,", n/2) + "\r\n\r\n" }},
	{"addresses", func(n int) string { return "To: " + strings.Repeat("a@b.c,", n/6) + "\r\n\r\n" }},
	{"bare addresses", func(n int) string { return "To: " + strings.Repeat("a@b ", n/4) + "\r\n\r\n" }},
	{"backslashes", func(n int) string { return "To: \"" + strings.Repeat(`\`, n) + "\r\n\r\n" }},
	{"M03 References", func(n int) string { return "References: (" + strings.Repeat("<a", n/2) + "\r\n\r\n" }},
	{"M07 10000 References", func(n int) string { return "References: " + strings.Repeat("<a@b>", n/5) + "\r\n\r\n" }},
	{"M07 encoded words", func(n int) string { return "Subject: " + strings.Repeat("=?u?q?", n/6) + "\r\n\r\n" }},
	{"good encoded words", func(n int) string { return "Subject: " + strings.Repeat("=?utf-8?q?=41?= ", n/16) + "\r\n\r\n" }},
	{"M07 continuations", func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "; a*%d=x", i)
		}
		return "Content-Type: text/plain" + b.String() + "\r\n\r\nx"
	}},
	{"parameters", func(n int) string { return "Content-Type: text/plain" + strings.Repeat(";a=\"b\"", n/6) + "\r\n\r\nx" }},
	{"open quotes", func(n int) string { return "Content-Type: text/plain; a=" + strings.Repeat(`"x`, n/2) + "\r\n\r\nx" }},
	{"M01 nested multiparts", func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String()
	}},
	{"M01 one boundary for all", func(n int) string {
		return strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n/50)
	}},
	{"M01 many parts", func(n int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", n/10)
	}},
	{"parts without boundary", func(n int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n", n/43)
	}},
	{"hyphens", func(n int) string {
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + strings.Repeat("--a\n", n/4)
	}},
	{"M02 base64 in one line", func(n int) string {
		return "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", n/4) + "*"
	}},
	{"M02 soft breaks", func(n int) string {
		return "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("=\r\n", n/3)
	}},
	{"equals signs", func(n int) string {
		return "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat("=", n)
	}},
	{"M08 quotes", func(n int) string { return "\r\n" + strings.Repeat(">", n) }},
	{"M08 quoted lines", func(n int) string { return "\r\n" + strings.Repeat("> \n", n/3) }},
	{"M08 introductions", func(n int) string { return "\r\nx\n" + strings.Repeat("On 1 Jan 2024 a@b.c\n", n/20) + "wrote:" }},
	{"introductions that end", func(n int) string { return "\r\n" + strings.Repeat("On 1 wrote:\n", n/12) }},
	{"header blocks", func(n int) string { return "\r\nx\n" + strings.Repeat("From: x\n", n/8) }},
	{"signatures", func(n int) string { return "\r\nx\n" + strings.Repeat("-- \n", n/4) }},
	{"rules", func(n int) string { return "\r\nx\n" + strings.Repeat("----\n\n", n/6) }},
	{"uuencoded files", func(n int) string { return "\r\n" + strings.Repeat("begin 644 a\n`\nend\n", n/18) }},
	{"flowed", func(n int) string {
		return "Content-Type: text/plain; format=flowed\r\n\r\n" + strings.Repeat("a \n", n/3)
	}},
	{"S12 nested tags", func(n int) string { return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<div>", n/5) }},
	{"nested quotes", func(n int) string { return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<blockquote>x", n/13) }},
	{"misnested tags", func(n int) string {
		return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<b>", 200) + strings.Repeat("<i></u>", n/7)
	}},
	{"attributes", func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, " a%d=x", i)
		}
		return "Content-Type: text/html\r\n\r\n<p" + b.String() + ">x"
	}},
	{"open tags", func(n int) string { return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<a href=", n/8) }},
	{"open comments", func(n int) string { return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<!--", n/4) }},
	{"script ends", func(n int) string {
		return "Content-Type: text/html\r\n\r\n<script>" + strings.Repeat("</s", n/3)
	}},
	{"styles", func(n int) string {
		return "Content-Type: text/html\r\n\r\n" + strings.Repeat(`<p style="color:red;x:y">`, n/25)
	}},
	{"status groups", func(n int) string {
		return "Content-Type: message/delivery-status\r\n\r\n" + strings.Repeat("Action: failed\r\n\r\n", n/18)
	}},
	{"bounce words", func(n int) string {
		return "From: mailer-daemon@x.y\r\nSubject: failure notice\r\n\r\n" + strings.Repeat("550 5.1.1 <a@b.c>\n", n/18)
	}},
	{"T29 subject", func(n int) string { return "Subject: " + strings.Repeat("Re: [#", n/6) + "\r\n\r\n" }},
}

// TestHostileGrowth holds the work against the size of what comes in: eight
// small mails against one that is eight times as large. Linear work gives a
// ratio of about one, quadratic work eight.
func TestHostileGrowth(t *testing.T) {
	const small, factor = 24 << 10, 8
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			one, big := []byte(c.make(small)), []byte(c.make(small*factor))
			best := 1e9
			for round := 0; round < 8 && best > 4; round++ {
				a := work(one, factor)
				b := work(big, 1)
				best = min(best, float64(b)/float64(max(a, 1)))
			}
			if best > 4 {
				t.Errorf("eight times the size costs %.1f times as much for each octet", best)
			}
		})
	}
}

func work(raw []byte, times int) time.Duration {
	start := time.Now()
	for range times {
		Parse(raw)
	}
	return time.Since(start)
}

// TestHostileMemory holds what is allocated against what came in.
func TestHostileMemory(t *testing.T) {
	const size = 1 << 20
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			raw := []byte(c.make(size))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m := Parse(raw)
			runtime.ReadMemStats(&after)
			checkSafe(t, m)
			if used := after.TotalAlloc - before.TotalAlloc; used > 96*size {
				t.Errorf("%d octets of mail made %d octets of work", len(raw), used)
			}
		})
	}
}
