package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
)

// W13: which addresses a webhook may reach, however they are written.
func TestW13PublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2a00:1450:4001:81b::200e": true, "2606:4700::1111": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true,
		"127.0.0.1": false, "127.1.2.3": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "192.0.0.8": false,
		"192.0.2.1": false, "198.18.0.1": false, "198.51.100.7": false, "203.0.113.9": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::a9fe:a9fe": false,
		"64:ff9b:1::8.8.8.8": false, "fe80::1": false, "fe80::1%eth0": false, "2a00::1%eth0": false, "fc00::1": false,
		"fd12:3456::1": false, "fec0::1": false, "ff02::1": false, "2001:db8::1": false, "2002:7f00:1::": false,
		"2001:0:7f00:1::": false, "3fff::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
	}
	allow := policy{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for text, want := range map[string][2]bool{ // https, http
		"10.1.2.3": {true, true}, "::ffff:10.1.2.3": {true, true}, "10.2.0.1": {false, false}, "fd00::1": {true, true},
		"8.8.8.8": {true, false}, "127.0.0.1": {false, false},
	} {
		a := netip.MustParseAddr(text)
		if got := [2]bool{allow.secure(a), allow.plain(a)}; got != want {
			t.Errorf("%s is allowed: %v", text, got)
		}
	}
}

func TestW13AddressesThatAreRefusedWhenWritten(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		url          string
		strict, lent bool
	}{
		{"https://example.org/hook?x=y", true, true},
		{"https://example.org:8443", true, true},
		{"https://8.8.8.8/", true, true},
		{"http://example.org/", false, true}, // shows when it is dialled
		{"http://10.1.1.1/", false, true},
		{"https://10.1.1.1/", false, true},
		{"http://8.8.8.8/", false, false},
		{"https://127.0.0.1/", false, false},
		{"https://[::1]/", false, false},
		{"https://[::ffff:169.254.169.254]/", false, false},
		{"https://user:pass@example.org/", false, false},
		{"https://example.org/#x", false, false},
		{"https://example.org/#", false, false},
		{"ftp://example.org/", false, false},
		{"file:///etc/passwd", false, false},
		{"https:example.org", false, false},
		{"https:///x", false, false},
		{"example.org", false, false},
		{"", false, false},
		{"https://exa mple.org/", false, false},
		{"https://example.org/\r\nX: y", false, false},
		{"https://example.org/" + strings.Repeat("a", 2000), false, false},
	} {
		for i, allowed := range [][]netip.Prefix{nil, allow} {
			err, want := CheckURL(c.url, allowed), []bool{c.strict, c.lent}[i]
			if (err == nil) != want || err != nil && store.CodeOf(err) != store.CodeInvalid {
				t.Errorf("%q with %v: %v", c.url, allowed, err)
			}
		}
	}
}

// counting is a listener that counts who connects.
type counting struct {
	net.Listener
	n atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// W13: what a name leads to is looked at when it is dialled, so that no name and
// no form of an address brings a message to this machine.
func TestW13RefusedAtDialTime(t *testing.T) {
	r := newRig(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inside := &counting{Listener: listener}
	server := &httptest.Server{Listener: inside, Config: &http.Server{ReadHeaderTimeout: time.Second}}
	server.Start()
	t.Cleanup(server.Close)
	port := inside.Addr().(*net.TCPAddr).Port
	s := r.service(func(o *Options) { o.Allow = nil })
	for i, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]"} {
		for _, scheme := range []string{"http", "https"} {
			id := scheme + string(rune('a'+i))
			r.hook(id, scheme+"://"+host+":"+itoa(port)+"/", nil) // past the check of what is written
			d, err := s.Test(t.Context(), id)
			if err != nil || d.State != store.WebhookFailed || d.Attempts[0].Code != 0 || d.Attempts[0].Error == "" {
				t.Errorf("%s: %+v, %v", host, d, err)
			}
			if text := d.Attempts[0].Error; strings.ContainsAny(text, "0123456789") {
				t.Errorf("it tells of the network: %s", text)
			}
		}
	}
	if n := inside.n.Load(); n != 0 {
		t.Errorf("%d connections came", n)
	}
}

// W13: a receiver that is allowed can't send a message on.
func TestW13NoRedirects(t *testing.T) {
	r := newRig(t)
	other := newReceiver(t)
	r.receiver.answers(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, other.URL, http.StatusTemporaryRedirect)
	})
	r.hook("a", r.receiver.URL, nil)
	d, err := r.service(nil).Test(context.Background(), "a")
	if err != nil || d.State != store.WebhookFailed || d.Attempts[0].Code != 307 || len(other.got) != 0 {
		t.Errorf("%+v, %v, and the other one has %d", d, err, len(other.got))
	}
}

// A certificate that nobody vouches for is as good as none.
func TestReceiversMustBeTrusted(t *testing.T) {
	r := newRig(t)
	r.hook("a", r.receiver.URL, nil)
	d, err := r.service(func(o *Options) { o.Roots = nil }).Test(context.Background(), "a")
	if err != nil || d.Attempts[0].Error != "the certificate is not trusted" || len(r.receiver.got) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
