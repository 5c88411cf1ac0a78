package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"ticketgate/threading/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the time of all tests that don't say otherwise.
var noon = time.Now().Truncate(time.Second) // go-msgauth signs by the wall clock

// zone is a DNS for tests: names that it doesn't hold don't exist.
type zone struct {
	txt     map[string][]string
	failing map[string]bool     // names that are answered by a temporary failure
	last    map[string][]string // what is remembered of names
	slow    chan struct{}       // when set, TXT waits for it or for ctx

	mu    sync.Mutex
	asked []string // guarded by mu
}

func (z *zone) TXT(ctx context.Context, name string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, name)
	z.mu.Unlock()
	if z.slow != nil {
		select {
		case <-z.slow:
		case <-ctx.Done():
			return nil, temporary(name, "no answer in time")
		}
	}
	if z.failing[name] {
		return nil, temporary(name, "SERVFAIL")
	}
	if records, ok := z.txt[name]; ok {
		return records, nil
	}
	return nil, notFound(name, "no such host")
}

func (z *zone) Exists(_ context.Context, name string) (bool, error) {
	if z.failing[name] {
		return false, temporary(name, "SERVFAIL")
	}
	for n := range z.txt {
		if n == name || strings.HasSuffix(n, "."+name) {
			return true, nil
		}
	}
	return false, nil
}

func (z *zone) Last(name string) ([]string, bool) {
	records, ok := z.last[name]
	return records, ok
}

// keys are made once: RSA keys are slow to make.
var (
	rsaKey     = sync.OnceValue(func() crypto.Signer { return newRSA(2048) })
	otherKey   = sync.OnceValue(func() crypto.Signer { return newRSA(2048) })
	ed25519Key = sync.OnceValue(func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// keyRecord is the TXT record of a key.
func keyRecord(key crypto.Signer) string {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			panic(err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
}

// plainMail is the mail that tests sign and bend.
const plainMail = "From: Joe <joe@example.org>\r\n" +
	"To: support@desk.example\r\n" +
	"Subject: The  printer\t burns\r\n" +
	"Date: Mon, 1 Jun 2026 11:59:00 +0000\r\n" +
	"Message-ID: <1@example.org>\r\n" +
	"References: <a@x.example>\r\n\t<b@x.example>\r\n" +
	"\r\n" +
	"Hello,  \r\n\r\nit \t burns.\r\n-- \r\nJoe\r\n\r\n\r\n"

const usualHeaders = "from:to:subject:date:message-id:references"

// forgery is a signature made with full freedom over its tags. It is signed
// with the code under test; that this code canonicalises rightly is shown by
// the tests against go-msgauth and the corpora.
type forgery struct {
	d, s, i, h, c string
	a             string
	extra         string // more tags, each with "; " before it
	key           crypto.Signer
	breakValue    bool
}

func (f forgery) field(t testing.TB, raw string) string {
	t.Helper()
	def := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	def(&f.d, "example.org")
	def(&f.s, "sel")
	def(&f.h, usualHeaders)
	def(&f.c, "relaxed/relaxed")
	if f.key == nil {
		f.key = rsaKey()
	}
	if _, ok := f.key.(ed25519.PrivateKey); ok {
		def(&f.a, "ed25519-sha256")
	}
	def(&f.a, "rsa-sha256")
	tags := "v=1; a=" + f.a + "; c=" + f.c + "; d=" + f.d + "; s=" + f.s + "; h=" + f.h + f.extra
	if f.i != "" {
		tags += "; i=" + f.i
	}
	c := cut([]byte(raw))
	body := bodyHasher{body: c.body}
	sum, err := body.sum(t.Context(), strings.HasSuffix(f.c, "/relaxed"))
	if err != nil {
		t.Fatal(err)
	}
	tags += "; bh=" + base64.StdEncoding.EncodeToString(sum) + ";\r\n\tb="
	field := "DKIM-Signature: " + tags
	sig := signature{place: -1, headers: splitList(strings.ToLower(f.h)), bare: []byte(field), relaxedHeader: strings.HasPrefix(f.c, "relaxed")}
	digest := (&checker{mail: &c}).headerHash(&sig)
	var opts crypto.SignerOpts = crypto.SHA256
	if f.a == "ed25519-sha256" {
		opts = crypto.Hash(0)
	}
	value, err := f.key.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	if f.breakValue {
		value[0] ^= 1
	}
	return field + base64.StdEncoding.EncodeToString(value) + "\r\n"
}

// signed is raw with the signature on top.
func (f forgery) signed(t testing.TB, raw string) string {
	t.Helper()
	return f.field(t, raw) + raw
}

// msgauthSigned signs raw with go-msgauth.
func msgauthSigned(t testing.TB, raw string, opt dkim.SignOptions) string {
	t.Helper()
	if opt.Domain == "" {
		opt.Domain = "example.org"
	}
	if opt.Selector == "" {
		opt.Selector = "sel"
	}
	if opt.Signer == nil {
		opt.Signer = rsaKey()
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, strings.NewReader(raw), &opt); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// usualZone publishes the usual key at the usual place.
func usualZone() *zone {
	return &zone{
		txt: map[string][]string{
			"sel._domainkey.example.org": {keyRecord(rsaKey())},
			"ed._domainkey.example.org":  {keyRecord(ed25519Key())},
		},
		failing: map[string]bool{},
		last:    map[string][]string{},
	}
}

func (z *zone) with(name string, records ...string) *zone {
	z.txt[name] = records
	return z
}

func (z *zone) fails(names ...string) *zone {
	for _, name := range names {
		z.failing[name] = true
	}
	return z
}

// verifyMail verifies raw with the zone; change may change the options.
func verifyMail(t testing.TB, z Lookup, raw string, change ...func(*Options)) Auth {
	t.Helper()
	return verifyKnown(t, z, raw, nil, change...)
}

func verifyKnown(t testing.TB, z Lookup, raw string, known func(string) bool, change ...func(*Options)) Auth {
	t.Helper()
	opt := Options{Hostname: "desk.example", Resolver: z, Now: func() time.Time { return noon }}
	for _, f := range change {
		f(&opt)
	}
	return New(opt).Verify(t.Context(), Request{Raw: []byte(raw), Message: message.Parse([]byte(raw)), Known: known})
}

// results lists the results of the signatures, for short comparisons.
func results(a Auth) string {
	var out []string
	for _, d := range a.DKIM {
		out = append(out, d.Result)
	}
	return strings.Join(out, " ")
}

func wantResults(t *testing.T, a Auth, want string) {
	t.Helper()
	if got := results(a); got != want {
		t.Errorf("signatures: %s, want %s; %+v", got, want, a.DKIM)
	}
}

func wantVerdict(t *testing.T, a Auth, want string) {
	t.Helper()
	if string(a.Verdict) != want {
		t.Errorf("verdict: %s, want %s; %+v", a.Verdict, want, a.Auth)
	}
	if a.Recheck != (want == "error") {
		t.Errorf("Recheck is %v for %s", a.Recheck, want)
	}
}

func sha(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// quiet is a zone that keeps no record of its questions.
type quiet struct{ *zone }

func (q quiet) TXT(_ context.Context, name string) ([]string, error) {
	if records, ok := q.txt[name]; ok {
		return records, nil
	}
	return nil, notFound(name, "no such host")
}
