package testbed

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
)

func ask(t *testing.T, network, addr, name string, kind uint16) (*dns.Msg, error) {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 200 * time.Millisecond}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), addr)
	return reply, err
}

func TestDNSAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 40) + `\"`
	server := DNS(t, map[string][]string{
		"Key.example.org TXT": {long},
		"example.org MX":      {"10 mx.example.org.", "20 mx2.example.org."},
		"mx.example.org A":    {"192.0.2.1"},
		"www.example.org cname": {
			"mx.example.org."},
	})
	for _, test := range []struct {
		name    string
		kind    uint16
		rcode   int
		answers int
	}{
		{"example.org", dns.TypeMX, dns.RcodeSuccess, 2},
		{"example.org", dns.TypeA, dns.RcodeSuccess, 0},
		{"MX.example.org", dns.TypeA, dns.RcodeSuccess, 1},
		{"www.example.org", dns.TypeA, dns.RcodeSuccess, 2},
		{"org", dns.TypeA, dns.RcodeSuccess, 0},
		{"none.example.org", dns.TypeTXT, dns.RcodeNameError, 0},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply, err := ask(t, network, server.Addr(), test.name, test.kind)
			if err != nil || reply.Rcode != test.rcode || len(reply.Answer) != test.answers {
				t.Errorf("%s %d over %s: %v, %v", test.name, test.kind, network, err, reply)
			}
		}
	}
	reply, err := ask(t, "udp", server.Addr(), "key.EXAMPLE.org", dns.TypeTXT)
	if err != nil || len(reply.Answer) != 1 {
		t.Fatal(err, reply)
	}
	text := reply.Answer[0].(*dns.TXT)
	if got := strings.Join(text.Txt, ""); len(text.Txt) != 2 || strings.ReplaceAll(got, `\`, "") != strings.ReplaceAll(long, `\`, "") {
		t.Errorf("%d strings: %s", len(text.Txt), got)
	}
	if n := server.Queries("example.org"); n != 4 {
		t.Errorf("%d queries for example.org", n)
	}
	if n := server.Queries("*"); n != 13 {
		t.Errorf("%d queries in all", n)
	}
	if got := server.TXT()["key.example.org"]; got != long {
		t.Errorf("TXT gives %q", got)
	}
}

func TestDNSMisbehaves(t *testing.T) {
	server := DNS(t, nil)
	server.Set("a.example", "TXT", "text")
	answers := func(network string) int {
		reply, err := ask(t, network, server.Addr(), "a.example", dns.TypeTXT)
		switch {
		case err != nil:
			return -1
		case reply.Truncated:
			return -2
		case reply.Rcode != dns.RcodeSuccess:
			return -3 - reply.Rcode
		}
		return len(reply.Answer)
	}
	for _, step := range []struct {
		what     string
		do       func()
		udp, tcp int
	}{
		{"it answers", func() {}, 1, 1},
		{"one name hangs", func() { server.Hang("a.example.") }, -1, -1},
		{"one name fails", func() { server.Fail("A.example") }, -3 - dns.RcodeServerFailure, -3 - dns.RcodeServerFailure},
		{"one name is truncated", func() { server.Truncate("a.example") }, -2, 1},
		{"restored", func() { server.Restore("a.example") }, 1, 1},
		{"all names hang", func() { server.Hang("*") }, -1, -1},
		{"all restored", func() { server.Restore("*") }, 1, 1},
		{"deleted", func() { server.Delete("a.example", "TXT") }, -3 - dns.RcodeNameError, -3 - dns.RcodeNameError},
	} {
		step.do()
		if udp, tcp := answers("udp"), answers("tcp"); udp != step.udp || tcp != step.tcp {
			t.Errorf("%s: %d over UDP, %d over TCP", step.what, udp, tcp)
		}
	}
}

func send(addr string, to ...string) error {
	return sendText(addr, "Subject: x\r\n\r\n.dot\r\n", to...)
}

func sendText(addr, text string, to ...string) error {
	client, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.SendMail("a@example.org", to, strings.NewReader(text))
}

func code(err error) int {
	var reply *smtp.SMTPError
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

func TestSinkKeepsWhatItGets(t *testing.T) {
	sink := SMTPSink(t, SinkOptions{})
	if err := send(sink.Addr(), "b@example.net", "c@example.net"); err != nil {
		t.Fatal(err)
	}
	got := sink.Wait(1, 10*time.Second)[0]
	if got.From != "a@example.org" || strings.Join(got.To, " ") != "b@example.net c@example.net" ||
		string(got.Data) != "Subject: x\r\n\r\n.dot\r\n" || got.Reply != "250 2.0.0 taken" {
		t.Errorf("%+v", got)
	}
	sink.Stop()
	if err := send(sink.Addr(), "b@example.net"); err == nil {
		t.Error("a stopped sink takes mail")
	}
	sink.Start()
	if err := send(sink.Addr(), "b@example.net"); err != nil {
		t.Error(err)
	}
	if messages := sink.Messages(); len(messages) != 2 || messages[1].Connection != 2 {
		t.Errorf("%+v", messages)
	}
}

func TestSinkFollowsItsScript(t *testing.T) {
	for _, test := range []struct {
		name           string
		rule           Rule
		code           int // 0: the connection broke
		complete, kept int
	}{
		{"greeting", Rule{At: AtConnect, Reply: "554 5.3.2 closed"}, 554, 0, 0},
		{"mail", Rule{At: AtMail, Reply: "451 4.3.0 later"}, 451, 0, 0},
		{"rcpt", Rule{At: AtRcpt, Address: "B@example.net", Reply: "550 5.1.1 nobody"}, 550, 0, 0},
		{"data", Rule{At: AtData, Reply: "452 4.3.1 full"}, 452, 0, 0},
		{"dot 4xx", Rule{At: AtDot, Reply: "451 4.3.0 later"}, 451, 1, 0},
		{"dot 5xx", Rule{At: AtDot, Address: "b@example.net", Reply: "554 5.6.0 spam"}, 554, 1, 0},
		{"drop", Rule{At: AtDot, Drop: true}, 0, 1, 1},
		{"drop at mail", Rule{At: AtMail, Drop: true}, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			sink := SMTPSink(t, SinkOptions{})
			test.rule.Times = 1
			sink.Script(test.rule)
			err := send(sink.Addr(), "b@example.net")
			if err == nil || code(err) != test.code {
				t.Errorf("%d: %v", code(err), err)
			}
			if n, kept := len(sink.Complete()), len(sink.Messages()); n != test.complete || kept != test.kept {
				t.Errorf("%d complete messages, %d kept", n, kept)
			}
			if err := send(sink.Addr(), "b@example.net"); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func TestSinkStalls(t *testing.T) {
	sink := SMTPSink(t, SinkOptions{})
	sink.Script(Rule{At: AtDot, Stall: true})
	for _, end := range []func(){sink.Clear, sink.Stop} {
		sent := make(chan error, 1)
		before := len(sink.Messages())
		go func() { sent <- send(sink.Addr(), "b@example.net") }()
		sink.Wait(before+1, 10*time.Second)
		select {
		case err := <-sent:
			t.Errorf("a reply in a stall: %v", err)
		default:
		}
		end()
		if err := <-sent; err == nil || code(err) != 0 {
			t.Errorf("after the stall: %v", err)
		}
		sink.Script(Rule{At: AtDot, Stall: true})
	}
}

func TestSinkSpeaksLMTP(t *testing.T) {
	sink := SMTPSink(t, SinkOptions{LMTP: true, Socket: t.TempDir() + "/lmtp"})
	sink.Script(Rule{At: AtDot, Address: "c@example.net", Reply: "451 4.3.0 later"})
	conn, err := net.Dial("unix", sink.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client := smtp.NewClientLMTP(conn)
	defer client.Close()
	if err := client.Mail("a@example.org", nil); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"b@example.net", "c@example.net"} {
		if err := client.Rcpt(to, nil); err != nil {
			t.Fatal(err)
		}
	}
	w, err := client.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "Subject: x\r\n\r\nx\r\n")
	taken, err := w.CloseWithLMTPResponse()
	var refused smtp.LMTPDataError
	if !errors.As(err, &refused) || len(taken) != 1 || len(refused) != 1 || refused["c@example.net"].Code != 451 {
		t.Errorf("taken %v, refused %v", taken, err)
	}
	if n := len(sink.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestSinkSpeaksTLSAndDemandsALogin(t *testing.T) {
	https := httptest.NewTLSServer(nil)
	defer https.Close()
	trust := https.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "example.com"
	for name, implicit := range map[string]bool{"starttls": false, "implicit": true} {
		t.Run(name, func(t *testing.T) {
			sink := SMTPSink(t, SinkOptions{TLS: https.TLS, ImplicitTLS: implicit, User: "u", Password: "p"})
			conn, err := net.Dial("tcp", sink.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var client *smtp.Client
			if implicit {
				client = smtp.NewClient(tls.Client(conn, trust))
			} else if client, err = smtp.NewClientStartTLS(conn, trust); err != nil {
				t.Fatal(err)
			}
			if err := client.Mail("a@example.org", nil); code(err) != 530 {
				t.Errorf("MAIL before the login: %v", err)
			}
			if err := client.Auth(sasl.NewPlainClient("", "u", "wrong")); code(err) != 535 {
				t.Errorf("a wrong password: %v", err)
			}
			if err := client.Auth(sasl.NewPlainClient("", "u", "p")); err != nil {
				t.Fatal(err)
			}
			if err := client.SendMail("a@example.org", []string{"b@example.net"}, strings.NewReader("x\r\n")); err != nil {
				t.Fatal(err)
			}
			if got := sink.Messages()[0]; !got.TLS || got.User != "u" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestVerifyDKIM lets go-msgauth sign and python3-dkim verify.
func TestVerifyDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := DNS(t, map[string][]string{
		"r._domainkey.example.org TXT": {"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		"e._domainkey.example.org TXT": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic)},
	})
	message := []byte("From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n")
	if results := VerifyDKIM(t, message, server.TXT()); len(results) != 0 {
		t.Errorf("unsigned: %+v", results)
	}
	for selector, key := range map[string]crypto.Signer{"r": rsaKey, "e": edKey, "missing": edKey} {
		message = sign(t, message, selector, key)
	}

	passed := make(map[string]bool)
	for _, result := range VerifyDKIM(t, message, server.TXT()) {
		passed[result.Domain+" "+result.Selector+" "+result.Algorithm] = result.Pass
		if result.Pass != (result.Reason == "") {
			t.Errorf("%+v", result)
		}
	}
	if len(passed) != 3 || !passed["example.org r rsa-sha256"] || !passed["example.org e ed25519-sha256"] {
		t.Errorf("passed: %v", passed)
	}
	for _, result := range VerifyDKIM(t, bytes.Replace(message, []byte("body"), []byte("b0dy"), 1), server.TXT()) {
		if result.Pass {
			t.Errorf("a changed body passes: %+v", result)
		}
	}
}

func sign(t *testing.T, message []byte, selector string, key crypto.Signer) []byte {
	t.Helper()
	var signed bytes.Buffer
	err := dkim.Sign(&signed, bytes.NewReader(message), &dkim.SignOptions{
		Domain: "example.org", Selector: selector, Signer: key, Hash: crypto.SHA256,
		HeaderKeys: []string{"From", "Subject"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bytes()
}
