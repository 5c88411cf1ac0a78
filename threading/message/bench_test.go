package message

import (
	"fmt"
	"strings"
	"testing"
)

const benchHeader = "Return-Path: <ann@customer.example>\r\n" +
	"Received: from mail.customer.example (mail.customer.example [192.0.2.7])\r\n\tby mx.desk.example (Postfix) with ESMTPS id 4bXyZ1\r\n\tfor <support@desk.example>; Sun, 22 Nov 2026 10:00:00 +0000 (UTC)\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=customer.example;\r\n\ts=s1; h=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n" +
	"From: \"Doe, Ann\" <ann@customer.example>\r\nTo: Support <support@desk.example>\r\nCc: bob@customer.example\r\n" +
	"Subject: =?utf-8?Q?Re:_[T#10001]_Lieferung_versp=C3=A4tet?=\r\nDate: Sun, 22 Nov 2026 11:00:00 +0100\r\n" +
	"Message-ID: <20261122100000.1234@customer.example>\r\nIn-Reply-To: <abc@desk.example>\r\nReferences: <first@desk.example>\r\n <abc@desk.example>\r\nMIME-Version: 1.0\r\n"

// plainMail is a mail of about n octets with one text part.
func plainMail(n int) []byte {
	body := strings.Repeat("This is a line of an ordinary mail about an order that did not come.\r\n", n/71)
	return []byte(benchHeader + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		body + "\r\nOn Sat, 21 Nov 2026 at 09:00, Support <support@desk.example> wrote:\r\n> Your order is on its way.\r\n")
}

// alternativeMail is a mail of about n octets with text and HTML, half each.
func alternativeMail(n int) []byte {
	text := strings.Repeat("This is a line of an ordinary mail about an order that did not come.\r\n", n/3/71)
	row := "<tr><td style=3D\"padding:4px;color:#333333\"><b>Order</b> <a href=3D\"https://shop.ex=\r\nample/o/1\">4711</a> &amp; more<br></td></tr>\r\n"
	markup := "<html><head><style>p{margin:0}</style></head><body><div><p>Hello,</p><table>" + strings.Repeat(row, 2*n/3/len(row)) +
		"</table><img src=3D\"https://shop.example/pixel.gif\"></div></body></html>\r\n"
	return []byte(benchHeader + "Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text +
		"--b1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + markup + "--b1--\r\n")
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"plain", plainMail(4000)}, {"alternative", alternativeMail(4000)}} {
		b.Run(fmt.Sprintf("%s-%d", c.name, len(c.raw)), func(b *testing.B) {
			b.SetBytes(int64(len(c.raw)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(c.raw)
			}
		})
	}
}

// BenchmarkSanitizeHTML stands beside what a bluemonday policy with the same
// lists costs, which neither balances nor moves pictures.
func BenchmarkSanitizeHTML(b *testing.B) {
	m := alternativeMail(5000)
	s := string(m[strings.Index(string(m), "<html>"):])
	gate := secondOpinion()
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(s)))
		b.ReportAllocs()
		for b.Loop() {
			SanitizeHTML(s)
		}
	})
	b.Run("bluemonday", func(b *testing.B) {
		b.SetBytes(int64(len(s)))
		b.ReportAllocs()
		for b.Loop() {
			gate.Sanitize(s)
		}
	})
}
