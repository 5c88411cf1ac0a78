package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"ticketgate/deploy/testbed"
)

// customer signs mail of ext.example, and of the agents' domain, whose key
// stands in DNS.
type customer struct {
	key *rsa.PrivateKey
	dns *testbed.DNSServer
}

func newCustomer(tb testing.TB) *customer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	record := []string{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)}
	return &customer{key: key, dns: testbed.DNS(tb, map[string][]string{
		"s1._domainkey.ext.example TXT":    record,
		"s1._domainkey.agents.example TXT": record,
		"_dmarc.ext.example TXT":           {"v=DMARC1; p=reject"},
	})}
}

func (c *customer) sign(tb testing.TB, mail string) string {
	tb.Helper()
	return c.signAs(tb, "ext.example", mail)
}

// signAs signs what large mail providers sign, which leaves In-Reply-To out.
func (c *customer) signAs(tb testing.TB, domain, mail string) string {
	tb.Helper()
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(mail), &dkim.SignOptions{
		Domain: domain, Selector: "s1", Signer: c.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID"},
	}); err != nil {
		tb.Fatal(err)
	}
	return signed.String()
}

// mta hands a mail to a real Postfix.
func mta(tb testing.TB, addr, from string, options *smtp.MailOptions, mail string, to ...string) {
	tb.Helper()
	client, err := smtp.Dial(addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer client.Close()
	if err := client.Mail(from, options); err != nil {
		tb.Fatal(err)
	}
	for _, recipient := range to {
		if err := client.Rcpt(recipient, nil); err != nil {
			tb.Fatal(err)
		}
	}
	w, err := client.Data()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write([]byte(mail)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	_ = client.Quit() // the mail is taken
}

// TestThroughPostfix is the main job: mail comes through a real Postfix into
// tickets, an answer goes out through it, signed, and leads back.
func TestThroughPostfix(t *testing.T) {
	for _, tt := range []struct {
		name   string
		unix   bool
		chroot bool
	}{{"TCP", false, false}, {"unix", true, false}, {"unix in a chroot", true, true}, {"TCP in a chroot", false, true}} {
		t.Run(tt.name, func(t *testing.T) { throughPostfix(t, tt.unix, tt.chroot) })
	}
}

func throughPostfix(t *testing.T, unix, chroot bool) {
	c := newCustomer(t)
	sink := testbed.SMTPSink(t, testbed.SinkOptions{})
	port := freePort(t)
	options := testbed.PostfixOptions{LMTP: "inet:127.0.0.1:" + port, NextHop: "smtp:[127.0.0.1]:" + portOf(t, sink.Addr()), Chroot: chroot}
	if unix {
		options.LMTP = "unix:private/ticketgate-lmtp"
	}
	postfix := testbed.Postfix(t, options)
	listen := "127.0.0.1:" + port
	if unix {
		listen = "unix:" + filepath.Join(postfix.SocketDir(), "ticketgate-lmtp")
	}
	n := newNode(t, "LMTP_LISTEN=127.0.0.1:0,"+listen, "DNS_RESOLVER="+c.dns.Addr(), "OUTBOUND_SMARTHOST=smtp+insecure://"+postfix.Addr())
	n.apply(deskFile)
	record := n.command("dkim", "new", "tickets.example", "--selector", "d1", "--activate")
	publish(t, c.dns, record)
	arrives(t, n, c, postfix)
	answersLeadBack(t, n, c, postfix, sink)
	agentAnswersByMail(t, n, c, postfix, sink)
	bounceComesBack(t, n, c, postfix, sink)
}

// arrives sends the four mails that a gateway behind Postfix must not break.
func arrives(t *testing.T, n *node, c *customer, postfix *testbed.PostfixServer) {
	t.Helper()
	mta(t, postfix.Addr(), "carla@ext.example", nil, plain("carla@ext.example", "plain", "1@ext.example", "", "hello"), "support@tickets.example")
	mta(t, postfix.Addr(), "carla@ext.example", &smtp.MailOptions{Body: smtp.Body8BitMIME}, c.sign(t, plain("Carla <carla@ext.example>", "8bit", "2@ext.example",
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "Grüße")), "support@tickets.example")
	mta(t, postfix.Addr(), "carla@ext.example", nil, c.sign(t, plain("carla@ext.example", "long", "3@ext.example", "", strings.Repeat("x", 3000))), "support@tickets.example")
	mta(t, postfix.Addr(), "pé@ext.example", &smtp.MailOptions{UTF8: true, Body: smtp.Body8BitMIME}, plain("pé@ext.example", "utf8 é", "4@ext.example", "", "hello"), "support@tickets.example")
	within(t, 60*time.Second, "four tickets", func() bool { return len(n.tickets()) == 4 })
	want := map[string]string{"plain": "failed", "8bit": "verified", "long": "verified", "utf8 é": "failed"} // ext.example publishes p=reject
	for _, ticket := range n.tickets() {
		a := n.activities(ticket.Number)[0]
		if a.Auth == nil || a.Auth.Verdict != want[ticket.Subject] {
			t.Errorf("%q is %+v, want %s", ticket.Subject, a.Auth, want[ticket.Subject])
		}
	}
}

func numberOf(t *testing.T, n *node, subject string) int64 {
	t.Helper()
	for _, ticket := range n.tickets() {
		if ticket.Subject == subject {
			return ticket.Number
		}
	}
	t.Fatalf("no ticket %q", subject)
	return 0
}

// answersLeadBack answers, checks the signed mail by an independent program,
// and has the customer reply in the three ways there are.
func answersLeadBack(t *testing.T, n *node, c *customer, postfix *testbed.PostfixServer, sink *testbed.Sink) {
	t.Helper()
	number := numberOf(t, n, "8bit")
	a := n.answer(number, "Which printer?")
	mail := toCustomer(t, sink, "carla@ext.example", "Which printer?")
	results := testbed.VerifyDKIM(t, mail.Data, c.dns.TXT())
	if len(results) == 0 {
		t.Fatal("the answer is not signed")
	}
	for _, r := range results {
		if !r.Pass || r.Domain != "tickets.example" {
			t.Errorf("an independent verifier says %+v", r)
		}
	}
	if status, raw := n.try("GET", fmt.Sprintf("/tickets/%d/activities/%s/raw", number, a.ID), nil); status != 200 || !strings.Contains(string(raw), a.MessageID) {
		t.Errorf("the raw of an answer: %d", status)
	}
	replyTo := field(string(mail.Data), "Reply-To")
	before := len(n.activities(number))
	replies := []struct{ to, mail string }{
		{"support@tickets.example", plain("carla@ext.example", fmt.Sprintf("AW: [T#%d] 8bit", number), "r1@ext.example", "", "by tag")},
		{"support@tickets.example", plain("carla@ext.example", "no tag", "r2@ext.example", "In-Reply-To: <"+a.MessageID+">\r\n", "by reference")},
		{strings.Trim(replyTo, "<>"), plain("carla@ext.example", "no tag at all", "r3@ext.example", "", "by token")},
	}
	for _, r := range replies {
		mta(t, postfix.Addr(), "carla@ext.example", nil, c.sign(t, r.mail), r.to)
	}
	within(t, 60*time.Second, "three replies in the ticket", func() bool { return len(n.activities(number)) == before+3 })
	for _, a := range n.activities(number)[before:] {
		if a.Sender != "participant" || a.Auth.Verdict != "verified" {
			t.Errorf("a reply: %+v", a)
		}
	}
}

// agentAnswersByMail has an agent answer the notification of a ticket from her
// own mail program: the customer gets it from the desk, signed, and with
// nothing of her own address.
func agentAnswersByMail(t *testing.T, n *node, c *customer, postfix *testbed.PostfixServer, sink *testbed.Sink) {
	t.Helper()
	mta(t, postfix.Addr(), "carla@ext.example", nil, c.sign(t, plain("carla@ext.example", "The door", "door@ext.example", "", "It squeaks.")), "support@tickets.example")
	told := toCustomer(t, sink, "anna@agents.example", "It squeaks.")
	replyTo := strings.Trim(field(string(told.Data), "Reply-To"), "<>")
	mail := "From: Anna <anna@agents.example>\r\nTo: " + replyTo + "\r\nSubject: Re: " + field(string(told.Data), "Subject") + "\r\n" +
		"Message-ID: <laptop@agents.example>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nIn-Reply-To: " + field(string(told.Data), "Message-ID") + "\r\n\r\n" +
		"Oil it.\r\n\r\nSupport wrote:\r\n> [reply above this line] Your reply goes to the customer\r\n> It squeaks.\r\n"
	mta(t, postfix.Addr(), "anna@agents.example", nil, c.signAs(t, "agents.example", mail), replyTo)
	sent := toCustomer(t, sink, "carla@ext.example", "Oil it.")
	for _, hidden := range []string{"anna@", "agents.example", "reply above", "It squeaks"} {
		if strings.Contains(string(sent.Data)+sent.From, hidden) {
			t.Errorf("the customer reads %q:\n%s", hidden, sent.Data)
		}
	}
	for _, r := range testbed.VerifyDKIM(t, sent.Data, c.dns.TXT()) {
		if !r.Pass || r.Domain != "tickets.example" {
			t.Errorf("an independent verifier says %+v", r)
		}
	}
	number := numberOf(t, n, "The door")
	list := n.activities(number)
	if a := list[len(list)-1]; a.Type != "outgoing" || a.Sender != "agent" {
		t.Errorf("the agent's answer: %+v", a)
	}
}

// bounceComesBack answers a customer whom the next hop refuses: Postfix sends a
// bounce to the return path, and it lands on the answer.
func bounceComesBack(t *testing.T, n *node, c *customer, postfix *testbed.PostfixServer, sink *testbed.Sink) {
	t.Helper()
	number := numberOf(t, n, "long")
	sink.Script(testbed.Rule{At: testbed.AtRcpt, Address: "carla@ext.example", Reply: "550 5.1.1 no such user"})
	a := n.answer(number, "Are you there?")
	within(t, 60*time.Second, "the bounce on its activity", func() bool {
		rows := n.deliveries(number, a.ID)
		return len(rows) == 1 && rows[0].State == "failed"
	})
	rows := n.deliveries(number, a.ID)
	if last := rows[0].Attempts[len(rows[0].Attempts)-1]; last.Code != 550 {
		t.Errorf("attempts %+v, want the 550 of the next hop", rows[0].Attempts)
	}
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return portOf(tb, l.Addr().String())
}

func portOf(tb testing.TB, addr string) string {
	tb.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
