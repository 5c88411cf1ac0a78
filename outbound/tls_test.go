package outbound

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// certificate makes one for names, and the pool that trusts it.
func certificate(t *testing.T, ips ...net.IP) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx"}, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestQ12TLS: what the URL says about TLS, against what the server has.
func TestQ12TLS(t *testing.T) {
	good, roots := certificate(t, net.IPv4(127, 0, 0, 1))
	foreign, _ := certificate(t, net.IPv4(127, 0, 0, 1))
	offers := func(c tls.Certificate) testbed.SinkOptions {
		return testbed.SinkOptions{TLS: &tls.Config{Certificates: []tls.Certificate{c}}}
	}
	implicit := func(c tls.Certificate) testbed.SinkOptions {
		o := offers(c)
		o.ImplicitTLS = true
		return o
	}
	withLogin := offers(good)
	withLogin.User, withLogin.Password = "anna", "secret"
	for _, c := range []struct {
		name, scheme string
		sink         testbed.SinkOptions
		state        store.DeliveryState
		tls          bool
	}{
		{"optional, not offered", "smtp://", testbed.SinkOptions{}, store.Sent, false},
		{"optional, offered", "smtp://", offers(good), store.Sent, true},
		{"optional, offered with any certificate", "smtp://", offers(foreign), store.Sent, true},
		{"optional, offered and broken", "smtp://", testbed.SinkOptions{TLS: &tls.Config{MaxVersion: tls.VersionTLS10, Certificates: []tls.Certificate{good}}}, store.Sent, false},
		{"required, not offered", "smtp+starttls://", testbed.SinkOptions{}, store.Held, false},
		{"required, offered", "smtp+starttls://", offers(good), store.Sent, true},
		{"required, not to be trusted", "smtp+starttls://", offers(foreign), store.Held, false},
		{"implicit", "smtps://", implicit(good), store.Sent, true},
		{"implicit, not to be trusted", "smtps://", implicit(foreign), store.Held, false},
		{"implicit, no TLS there", "smtps://", testbed.SinkOptions{}, store.Held, false},
		{"never", "smtp+insecure://", offers(good), store.Sent, false},
		{"with a password", "smtp+starttls://anna:secret@", withLogin, store.Sent, true},
		{"a password is not shown to a stranger", "smtp://anna:secret@", offers(foreign), store.Held, false},
		{"wrong password", "smtp+starttls://anna:wrong@", withLogin, store.Deferred, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := embeddedRig(t)
			r.sink = testbed.SMTPSink(t, c.sink)
			s := r.start(func(o *Options) {
				o.Smarthost, o.TLS = c.scheme+r.sink.Addr(), &tls.Config{RootCAs: roots}
				o.smtp.command = 500 * time.Millisecond // how long "no TLS there" takes
			})
			rows := r.mails(1)
			s.Queued(t.Context(), dues(rows))
			r.settled(c.state, rows...)
			messages := r.sink.Messages()
			if c.state != store.Sent {
				if len(messages) != 0 {
					t.Errorf("%d messages left", len(messages))
				}
				return
			}
			if len(messages) != 1 || messages[0].TLS != c.tls {
				t.Errorf("%+v", messages)
			}
		})
	}
}
