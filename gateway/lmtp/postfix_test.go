package lmtp

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"ticketgate/deploy/testbed"
)

// TestBehindPostfix hands mail over as it happens in production: by a real
// Postfix, over TCP and a unix socket, in a chroot and not.
func TestBehindPostfix(t *testing.T) {
	for _, socket := range []bool{false, true} {
		for _, chroot := range []bool{false, true} {
			t.Run(fmt.Sprintf("unix=%v/chroot=%v", socket, chroot), func(t *testing.T) {
				t.Parallel()
				behindPostfix(t, socket, chroot)
			})
		}
	}
}

func behindPostfix(t *testing.T, socket, chroot bool) {
	backend := &memory{}
	opt := testbed.PostfixOptions{Chroot: chroot, LMTP: "unix:private/ticketgate-lmtp"}
	var mta *testbed.PostfixServer
	if socket {
		mta = testbed.Postfix(t, opt)
		serve(t, Options{Listen: []string{"unix:" + filepath.Join(mta.SocketDir(), "ticketgate-lmtp")}}, backend)
	} else {
		opt.LMTP = "inet:" + serve(t, Options{}, backend).Addrs()[0].String()
		mta = testbed.Postfix(t, opt)
	}

	long := strings.Repeat("x", 3000)
	submit(t, mta, "a@example.org", "Subject: long\r\n\r\n"+long+"\r\n..\r\n.x\r\n", "one@tickets.example", "two@tickets.example")
	submit(t, mta, "grün@example.org", "Subject: grün\r\n\r\n\xfc\xff\r\n", "grün@tickets.example")
	submit(t, mta, "", "Subject: known and not\r\n\r\nx\r\n", "one@tickets.example", "unknown@tickets.example", "off@tickets.example")

	mta.WaitLog(`to=<one@tickets.example>.*status=sent \(250 2\.0\.0 <one@tickets\.example> Stored as`, 30*time.Second)
	mta.WaitLog(`to=<grün@tickets.example>.*status=sent`, 30*time.Second)
	mta.WaitLog(`to=<unknown@tickets.example>.*status=bounced.*550 5\.1\.1`, 30*time.Second)
	mta.WaitLog(`to=<off@tickets.example>.*status=deferred.*450 4\.2\.1`, 30*time.Second)
	checkMails(t, backend.kept(), long)
}

func checkMails(t *testing.T, mails []mail, long string) {
	t.Helper()
	if len(mails) != 3 {
		t.Fatalf("%d mails", len(mails))
	}
	for _, m := range mails {
		x := m.env.XForward
		if !strings.Contains(m.body, " "+x.Ident+"\r\n") && !strings.Contains(m.body, " id "+x.Ident) || x.Ident == "" || x.Addr != "127.0.0.1" {
			t.Errorf("XFORWARD said %+v", x)
		}
		switch {
		case strings.Contains(m.body, "Subject: long"):
			if len(m.env.Recipients) != 2 || !strings.HasSuffix(m.body, "\r\n\r\n"+long+"\r\n..\r\n.x\r\n") {
				t.Errorf("to %q came %d octets", m.env.Recipients, len(m.body))
			}
		case m.env.From == "":
			if len(m.env.Recipients) != 1 {
				t.Errorf("recipients %q", m.env.Recipients)
			}
		default:
			if m.env.From != "grün@example.org" || !m.env.UTF8 || !m.env.Body8Bit || !strings.HasSuffix(m.body, "\xfc\xff\r\n") {
				t.Errorf("got %+v", m.env)
			}
		}
	}
}

// submit gives a mail to Postfix.
func submit(t *testing.T, mta *testbed.PostfixServer, from, body string, to ...string) {
	t.Helper()
	c, err := smtp.Dial(mta.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Mail(from, &smtp.MailOptions{UTF8: !isASCII(from), Body: smtp.Body8BitMIME}); err != nil {
		t.Fatal(err)
	}
	for _, address := range to {
		if err := c.Rcpt(address, nil); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bytes.NewBufferString(body).WriteTo(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
