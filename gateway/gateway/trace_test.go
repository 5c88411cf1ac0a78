package gateway

import (
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ticketgate/gateway/lmtp"
	"ticketgate/gateway/verify"
	"ticketgate/store"
)

var judged = verify.Auth{Auth: store.Auth{DMARC: store.DMARCResult{Result: "none", Domain: "customer.test"}, Verdict: store.Unverified}}

func TestTraceNamesWhereAMailCameFrom(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.FixedZone("", 3600))
	auth := judged.Header("mx.example.test") + "\r\n"
	for name, c := range map[string]struct {
		env  lmtp.Envelope
		want string
	}{
		"told by the MTA": {
			lmtp.Envelope{
				ID: "ID", Listener: FaceLMTP, From: "carol@customer.test", Recipients: []string{"support@example.test"},
				Hello: "mta.example.test", ReceivedAt: at, Remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)},
				XForward: lmtp.XForward{Addr: "192.0.2.1", Name: "out.customer.test", Helo: "customer.test"},
			},
			"Return-Path: <carol@customer.test>\r\n" + auth +
				"Received: from customer.test (out.customer.test [192.0.2.1])\r\n" +
				"\tby mx.example.test (ticketgate, from mta.example.test) with LMTP id ID\r\n\tfor <support@example.test>;\r\n\tSun, 22 Nov 2026 19:00:00 +0000\r\n",
		},
		"told by nobody, to two, over a socket": {
			lmtp.Envelope{ID: "ID", Listener: FaceSMTP, UTF8: true, Recipients: []string{"a@b", "c@d"}, Hello: "mta", ReceivedAt: at, Remote: &net.UnixAddr{}},
			"Return-Path: <>\r\n" + auth + "Received: from mta (local)\r\n" +
				"\tby mx.example.test (ticketgate) with UTF8SMTP id ID;\r\n\tSun, 22 Nov 2026 19:00:00 +0000\r\n",
		},
		"a client that wants to write fields": {
			lmtp.Envelope{
				ID: "ID", Listener: FaceLMTP, From: "a>\r\nX: y@b", Recipients: []string{"a@b", "c@d"}, ReceivedAt: at,
				XForward: lmtp.XForward{Addr: "1] (", Helo: "x)\r\nSubject: forged; "},
			},
			"Return-Path: <aX:y@b>\r\n" + auth + "Received: from xSubject:forged (unknown [1]])\r\n" +
				"\tby mx.example.test (ticketgate, from unknown) with LMTP id ID;\r\n\tSun, 22 Nov 2026 19:00:00 +0000\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, trace("mx.example.test", &c.env, judged)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewResultsTakeThePlaceOfTheOldOnes(t *testing.T) {
	failed := judged
	failed.DMARC.Result = "temperror"
	env := lmtp.Envelope{ID: "ID", Listener: FaceLMTP, From: "a@b", Recipients: []string{"c@d"}, Hello: "mta"}
	first := trace("mx.example.test", &env, failed)
	want := trace("mx.example.test", &env, judged)
	if diff := cmp.Diff(want, judgedAgain(first, "mx.example.test", judged)); diff != "" {
		t.Error(diff)
	}
	if got := judgedAgain("", "mx.example.test", judged); got != judged.Header("mx.example.test")+"\r\n" {
		t.Errorf("a mail without trace got %q", got)
	}
}
