package outbound

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

func testSealer(t testing.TB) *store.Sealer {
	t.Helper()
	seal, err := store.NewSealer([]string{"test secret"})
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

// activeKey makes a key that signs.
func activeKey(t testing.TB, seal *store.Sealer, domain, selector, algorithm string) store.DKIMKey {
	t.Helper()
	k, private, err := GenerateKey(domain, selector, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	SealKey(seal, &k, private)
	k.State, k.ActivatedAt = store.DKIMActive, time.Now()
	return k
}

func ringOf(seal *store.Sealer, keys ...store.DKIMKey) *Keyring {
	return newKeyring(func(context.Context) ([]store.DKIMKey, error) { return keys, nil }, seal, nil)
}

func published(keys ...store.DKIMKey) map[string]string {
	txt := map[string]string{}
	for _, k := range keys {
		txt[RecordName(k)] = recordValue(k)
	}
	return txt
}

// TestQ25Sign: both algorithms, oversigned, t= and x=, and a program that is
// not ours agrees.
func TestQ25Sign(t *testing.T) {
	seal := testSealer(t)
	rsaKey := activeKey(t, seal, "example.org", "r1", AlgorithmRSA)
	edKey := activeKey(t, seal, "example.org", "e1", AlgorithmEd25519)
	m := sampleMail()
	m.Parts = []store.MailPart{{Name: "Übersicht.pdf", Type: "application/pdf", Hash: "pdf"}}
	raw := []byte(mustCompose(t, m))
	signed, n, err := ringOf(seal, rsaKey, edKey).Sign(t.Context(), "Example.ORG", raw)
	if err != nil || n != 2 || !bytes.HasSuffix(signed, raw) {
		t.Fatalf("%d signatures, %v", n, err)
	}
	if err := checkWire(signed, false); err != nil {
		t.Error(err)
	}
	fields := fieldsOf(t, string(signed))
	for _, field := range fields[:2] {
		text := strings.ReplaceAll(field, " ", "")
		for _, want := range []string{
			"h=From:From:Reply-To:Reply-To:To:To:Cc:Subject:Subject:Date:Date:Message-ID:Message-ID:" +
				"In-Reply-To:In-Reply-To:References:References:MIME-Version:MIME-Version:Content-Type:Content-Type;",
			"c=relaxed/relaxed;", "d=example.org;", "t=", "x=",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is not in\n%s", want, text)
			}
		}
		if strings.Contains(text, "l=") {
			t.Errorf("l= in %s", text)
		}
	}
	results := testbed.VerifyDKIM(t, signed, published(rsaKey, edKey))
	if len(results) != 2 || !results[0].Pass || !results[1].Pass {
		t.Errorf("python3-dkim: %+v", results)
	}
	for _, forged := range [][]byte{
		append([]byte("Subject: other\r\n"), signed...),
		append([]byte("Cc: other@example.org\r\n"), signed...),
		append(bytes.Clone(signed), "appended\r\n"...),
	} {
		for _, result := range testbed.VerifyDKIM(t, forged, published(rsaKey, edKey)) {
			if result.Pass {
				t.Errorf("a changed mail passes: %+v", result)
			}
		}
	}
}

func TestSignPicksKeys(t *testing.T) {
	seal := testSealer(t)
	old := activeKey(t, seal, "example.org", "old", AlgorithmEd25519)
	old.ActivatedAt = old.ActivatedAt.Add(-time.Hour)
	newer := activeKey(t, seal, "example.org", "new", AlgorithmEd25519)
	waiting := activeKey(t, seal, "example.org", "waiting", AlgorithmEd25519)
	waiting.State = store.DKIMNew
	sub := activeKey(t, seal, "sub.example.org", "sub", AlgorithmEd25519)
	ring := ringOf(seal, old, newer, waiting, sub)
	raw := []byte(mustCompose(t, sampleMail()))
	for domain, want := range map[string]string{
		"example.org": "s=new;", "a.b.example.org": "s=new;", "sub.example.org": "s=sub;",
		"x.sub.example.org": "s=sub;", "example.net": "", "org": "", "notexample.org": "",
	} {
		signed, n, err := ring.Sign(t.Context(), domain, raw)
		if err != nil || (n == 1) != (want != "") || !strings.Contains(string(signed), want) {
			t.Errorf("%s: %d signatures, %v\n%s", domain, n, err, signed)
		}
	}
}

// TestQ13Sign: a key that can't be opened is an error, never an unsigned mail.
func TestQ13Sign(t *testing.T) {
	seal := testSealer(t)
	raw := []byte(mustCompose(t, sampleMail()))
	broken := activeKey(t, seal, "example.org", "s", AlgorithmEd25519)
	broken.Private = []byte("not sealed at all")
	foreign := activeKey(t, seal, "example.org", "s", AlgorithmEd25519)
	foreign.Public = activeKey(t, seal, "example.org", "s", AlgorithmEd25519).Public
	moved := activeKey(t, seal, "example.org", "s", AlgorithmEd25519)
	moved.ID = store.NewID()
	for name, key := range map[string]store.DKIMKey{"broken": broken, "not its public half": foreign, "of another row": moved} {
		signed, n, err := ringOf(seal, key).Sign(t.Context(), "example.org", raw)
		if err == nil || signed != nil || n != 0 || store.CodeOf(err) == store.CodeUnavailable {
			t.Errorf("%s: %d signatures, %v", name, n, err)
		}
	}
	down := newKeyring(func(context.Context) ([]store.DKIMKey, error) {
		return nil, store.Errorf(store.CodeUnavailable, "gone")
	}, seal, nil)
	if _, _, err := down.Sign(t.Context(), "example.org", raw); store.CodeOf(err) != store.CodeUnavailable {
		t.Errorf("a store that is away: %v", err)
	}
}

// TestSelfVerify: what our own check would not pass does not leave.
func TestSelfVerify(t *testing.T) {
	seal := testSealer(t)
	key := activeKey(t, seal, "example.org", "s", AlgorithmRSA)
	signed, _, err := ringOf(seal, key).Sign(t.Context(), "example.org", []byte(mustCompose(t, sampleMail())))
	if err != nil {
		t.Fatal(err)
	}
	if err := selfVerify(bytes.Replace(signed, []byte("works"), []byte("words"), 1), []store.DKIMKey{key}); err == nil {
		t.Error("a changed body passes")
	}
	if err := selfVerify(signed, nil); err == nil {
		t.Error("a signature too many passes")
	}
}

func TestKeyringTakesUpANewKey(t *testing.T) {
	seal := testSealer(t)
	var keys []store.DKIMKey
	ring := newKeyring(func(context.Context) ([]store.DKIMKey, error) { return keys, nil }, seal, nil)
	raw := []byte(mustCompose(t, sampleMail()))
	if _, n, err := ring.Sign(t.Context(), "example.org", raw); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	keys = append(keys, activeKey(t, seal, "example.org", "s", AlgorithmEd25519))
	for begin := time.Now(); ; {
		_, n, err := ring.Sign(t.Context(), "example.org", raw)
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			return
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the new key is not taken up")
		}
		_ = waitFor(t.Context(), nil, 50*time.Millisecond)
	}
}

func TestGenerateKey(t *testing.T) {
	for _, bad := range [][3]string{
		{"", "s", "rsa"}, {"example.org", "", "rsa"}, {"example.org", "a b", "rsa"}, {"localhost", "s", "rsa"},
		{"example.org", "s", "dsa"}, {"exa\"mple.org", "s", "rsa"}, {"example.org", "s..t", "rsa"},
	} {
		if _, _, err := GenerateKey(bad[0], bad[1], bad[2]); store.CodeOf(err) != store.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	k, _, err := GenerateKey("Bücher.example.", "S1", AlgorithmRSA)
	if err != nil || k.Domain != "xn--bcher-kva.example" || k.Selector != "s1" || k.State != store.DKIMNew {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestRecord(t *testing.T) {
	k, _, err := GenerateKey("example.org", "s1", AlgorithmRSA)
	if err != nil {
		t.Fatal(err)
	}
	line := Record(k)
	rest, ok := strings.CutPrefix(line, "s1._domainkey.example.org. IN TXT ")
	if !ok || strings.Contains(line, "\n") {
		t.Fatalf("%s", line)
	}
	joined := ""
	for _, s := range strings.Split(rest, `" "`) {
		s = strings.Trim(s, `"`)
		if len(s) > 255 {
			t.Errorf("a string of %d octets", len(s))
		}
		joined += s
	}
	if err := CheckRecord(k, []string{"v=spf1 -all", joined}); err != nil {
		t.Errorf("%s: %v", joined, err)
	}
}

func TestCheckRecord(t *testing.T) {
	k := store.DKIMKey{Algorithm: AlgorithmEd25519, Public: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
	good := recordValue(k)
	for _, c := range []struct {
		txt  []string
		want error
	}{
		{[]string{good}, nil},
		{[]string{"k=ed25519;p = 11qYAYKxCrfVS/7TyWQHOg7hc vPapiMlrwIaaPcHURo= ; h=sha1:sha256; s=*"}, nil},
		{nil, ErrNoRecord},
		{[]string{"v=spf1 -all"}, ErrNoRecord},
		{[]string{"v=DKIM2; p=x"}, ErrNoRecord},
		{[]string{good, good}, ErrManyRecords},
		{[]string{"v=DKIM1; k=ed25519; p="}, ErrRevoked},
		{[]string{"v=DKIM1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}, ErrOtherKey},
		{[]string{"v=DKIM1; k=ed25519; p=AAAA"}, ErrOtherKey},
		{[]string{"v=DKIM1; k=ed25519; p=!"}, ErrOtherKey},
	} {
		if err := CheckRecord(k, c.txt); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.txt, err, c.want)
		}
	}
	for _, limited := range []string{"; h=sha1", "; s=tlsrpt"} {
		if CheckRecord(k, []string{good + limited}) == nil {
			t.Errorf("%s passes", limited)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	seal := testSealer(b)
	m := sampleMail()
	m.Text = strings.Repeat("A line of an answer, as people write it.\n", 100)
	raw := []byte(mustCompose(b, m))
	for _, algorithm := range []string{AlgorithmRSA, AlgorithmEd25519} {
		key := activeKey(b, seal, "example.org", "s", algorithm)
		b.Run(algorithm, func(b *testing.B) {
			ring := ringOf(seal, key)
			for b.Loop() {
				if _, n, err := ring.Sign(b.Context(), "example.org", raw); err != nil || n != 1 {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+" bare dkim.Sign", func(b *testing.B) {
			signer := bareSigner(b, seal, key)
			for b.Loop() {
				err := dkim.Sign(io.Discard, bytes.NewReader(raw), &dkim.SignOptions{
					Domain: key.Domain, Selector: key.Selector, Signer: signer, HeaderKeys: signedFields,
					HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func bareSigner(b *testing.B, seal *store.Sealer, key store.DKIMKey) crypto.Signer {
	b.Helper()
	der, err := seal.Open(keyPlace(key.ID), key.Private)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		b.Fatal(err)
	}
	return signer.(crypto.Signer)
}
