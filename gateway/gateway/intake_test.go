package gateway

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/deploy/testbed"
	"ticketgate/gateway/verify"
	"ticketgate/store"
)

// K17 as the daemon asks it: the envelope counts, and an address with an
// extension is ours too.
func TestReplayedSignature(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dns := testbed.DNS(t, map[string][]string{
		"s._domainkey.customer.test TXT": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)},
	})
	core := testCore(t, testConfig(t, "DNS_RESOLVER="+dns.Addr()))
	applyText(t, core, deskText, ApplyOptions{})
	in := newCommandIntake(core)
	var many []string
	for i := range 11 {
		many = append(many, fmt.Sprintf("desk%d@example.test", i))
	}
	judge := func(to string) store.DKIMResult {
		t.Helper()
		var signed bytes.Buffer
		mail := "From: carol@customer.test\r\nTo: " + to + "\r\nSubject: x\r\n\r\nHello.\r\n"
		err := dkim.Sign(&signed, strings.NewReader(mail), &dkim.SignOptions{Domain: "customer.test", Selector: "s", Signer: private})
		if err != nil {
			t.Fatal(err)
		}
		read, err := in.read(t.Context(), verify.Request{Raw: signed.Bytes(), Recipients: many}, in.log)
		if err != nil {
			t.Fatal(err)
		}
		return read.Auth.DKIM[0]
	}
	for to, want := range map[string]string{
		"friend@elsewhere.test": "policy", "support@example.test": "pass", "Support+t1@Example.test": "pass", "nobody@example.test": "policy",
	} {
		if got := judge(to); got.Result != want {
			t.Errorf("to %s: %+v, want %s", to, got, want)
		}
	}
}
