package verify

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/threading/message"
)

func TestCanonicalisations(t *testing.T) {
	z := usualZone()
	for _, key := range []struct {
		selector string
		signer   crypto.Signer
	}{{"sel", rsaKey()}, {"ed", ed25519Key()}} {
		for _, header := range []dkim.Canonicalization{"simple", "relaxed"} {
			for _, body := range []dkim.Canonicalization{"simple", "relaxed"} {
				raw := msgauthSigned(t, plainMail, dkim.SignOptions{
					Selector: key.selector, Signer: key.signer,
					HeaderCanonicalization: header, BodyCanonicalization: body,
					HeaderKeys: []string{"From", "From", "To", "Subject", "Subject", "Date", "Message-ID", "References"},
				})
				t.Run(fmt.Sprintf("K01 %s %s/%s", key.selector, header, body), func(t *testing.T) {
					a := verifyMail(t, z, raw)
					wantResults(t, a, "pass")
					wantVerdict(t, a, "verified")
				})
				t.Run(fmt.Sprintf("K02 %s %s/%s", key.selector, header, body), func(t *testing.T) {
					for _, bend := range [][2]string{
						{"burns.\r\n", "burnt.\r\n"}, {"Joe <joe@", "Joy <joe@"}, {"<b@x", "<c@x"}, {"\r\nJoe\r\n", "\r\nJoe\r\nx"},
					} {
						a := verifyMail(t, z, strings.Replace(raw, bend[0], bend[1], 1))
						wantResults(t, a, "fail")
						wantVerdict(t, a, "unverified")
					}
				})
				t.Run(fmt.Sprintf("K13 bare LF %s %s/%s", key.selector, header, body), func(t *testing.T) {
					wantVerdict(t, verifyMail(t, z, strings.ReplaceAll(raw, "\r\n", "\n")), "verified")
				})
			}
		}
	}
}

// What go-msgauth says about mails of all shapes we say too.
func TestK13AgainstOracle(t *testing.T) {
	z := usualZone()
	head := strings.SplitAfter(plainMail, "\r\n\r\n")[0]
	for i, raw := range []string{
		plainMail, head, head + "\r\n", head + "\r\n\r\n\r\n", head + "x", head + " ", head + " \t \r\n\t\r\n",
		head + "x \t\r\n \r\n", head + "\r\n\r\nx\r\n", head + strings.Repeat("a b  c\t\r\n\r\n", 3000),
		head + strings.Repeat("long ", 2000) + "\r\n", head + strings.Repeat("\r\n", 5000) + "x",
		head + "\x00\xff\r\n", strings.Replace(plainMail, "Subject: ", "SUBJECT \t:\t", 1),
		strings.Replace(plainMail, "Subject: The", "Subject:\r\n \r\n  The", 1),
		strings.Replace(plainMail, "Subject: The  printer\t burns", "Subject:", 1),
	} {
		for _, header := range []dkim.Canonicalization{"simple", "relaxed"} {
			for _, body := range []dkim.Canonicalization{"simple", "relaxed"} {
				signed := msgauthSigned(t, raw, dkim.SignOptions{HeaderCanonicalization: header, BodyCanonicalization: body})
				for _, s := range []string{signed, strings.Replace(signed, "example.org>\r\n", "example.org> \r\n", 1), signed + "\r\n", signed + " ", signed + "x"} {
					want, err := dkim.VerifyWithOptions(strings.NewReader(s), &dkim.VerifyOptions{
						LookupTXT: func(name string) ([]string, error) { return z.TXT(t.Context(), name) },
					})
					if err != nil {
						t.Fatal(err)
					}
					got := results(verifyMail(t, z, s))
					if (got == "pass") != (want[0].Err == nil) {
						t.Errorf("mail %d %s/%s: %s, the oracle says %v\n%q", i, header, body, got, want[0].Err, s)
					}
				}
			}
		}
	}
}

func TestBentSignatures(t *testing.T) {
	in := func(d time.Duration) string { return fmt.Sprint(noon.Add(d).Unix()) }
	for name, c := range map[string]struct {
		forgery forgery
		key     string // the record, when it isn't the usual one
		raw     string
		bend    [2]string // of the signed mail: what, and by what it is replaced
		want    string
	}{
		"K01 as usual":                    {want: "pass"},
		"K01 ed25519":                     {forgery: forgery{s: "ed", key: ed25519Key()}, want: "pass"},
		"K02 broken value":                {forgery: forgery{breakValue: true}, want: "fail"},
		"K02 another's key":               {forgery: forgery{key: otherKey()}, want: "fail"},
		"K03 length":                      {forgery: forgery{extra: "; l=5"}, want: "policy"},
		"K03 sha1":                        {forgery: forgery{a: "rsa-sha1"}, want: "permerror"},
		"K03 no From in h=":               {forgery: forgery{h: "to:subject"}, want: "permerror"},
		"K03 empty h=":                    {forgery: forgery{h: ""}, want: "pass"}, // the helper's default
		"K03 blank h=":                    {forgery: forgery{h: " "}, want: "permerror"},
		"K03 no bh=":                      {bend: [2]string{"; bh=", "; xbh="}, want: "permerror"},
		"K03 no h=":                       {bend: [2]string{"; h=", "; xh="}, want: "permerror"},
		"K03 empty bh=":                   {bend: [2]string{"; bh=", "; bh=; xbh="}, want: "permerror"},
		"K03 second Subject on top":       {raw: "Subject: pay\r\n", want: "policy"},
		"K03 second Subject, oversigned":  {forgery: forgery{h: "from:from:subject:subject"}, raw: "Subject: pay\r\n", want: "policy"},
		"K03 second To, not signed":       {forgery: forgery{h: "from:subject"}, raw: "To: x@y.example\r\n", want: "pass"},
		"K05 expired":                     {forgery: forgery{extra: "; x=" + in(-time.Second)}, want: "permerror"},
		"K05 not yet expired":             {forgery: forgery{extra: "; t=" + in(-time.Hour) + "; x=" + in(time.Minute)}, want: "pass"},
		"K05 expires before it was made":  {forgery: forgery{extra: "; t=" + in(2*time.Minute) + "; x=" + in(time.Minute)}, want: "permerror"},
		"K05 in the future":               {forgery: forgery{extra: "; t=" + in(6*time.Minute)}, want: "neutral"},
		"K05 within the skew":             {forgery: forgery{extra: "; t=" + in(4*time.Minute)}, want: "pass"},
		"K05 no number":                   {forgery: forgery{extra: "; t=-1"}, want: "permerror"},
		"K06 revoked":                     {key: "v=DKIM1; p=", want: "permerror"},
		"K06 other version":               {key: "v=DKIM2; p=AAAA", want: "permerror"},
		"K06 garbage":                     {key: "\x00\xff;;=", want: "permerror"},
		"K06 no key":                      {key: "v=DKIM1", want: "permerror"},
		"K06 no base64":                   {key: "p=????", want: "permerror"},
		"K06 wrong kind":                  {key: keyRecord(ed25519Key()), want: "permerror"},
		"K06 unknown kind":                {key: "k=x; p=AAAA", want: "permerror"},
		"K06 blanks and notes":            {key: strings.Replace(keyRecord(rsaKey()), "; p=", "; n=; g=*; h=sha1:sha256; p= ", 1), want: "pass"},
		"K06 not for this hash":           {key: keyRecord(rsaKey()) + "; h=sha1", want: "permerror"},
		"K09 t=s, i= is d=":               {forgery: forgery{i: "joe@Example.ORG"}, key: keyRecord(rsaKey()) + "; t=s", want: "pass"},
		"K09 t=s, i= below d=":            {forgery: forgery{i: "joe@sub.example.org"}, key: keyRecord(rsaKey()) + "; t=s", want: "permerror"},
		"K09 i= below d=":                 {forgery: forgery{i: "@sub.example.org"}, want: "pass"},
		"K09 i= elsewhere":                {forgery: forgery{i: "@badexample.org"}, want: "permerror"},
		"K09 i= without @":                {forgery: forgery{i: "example.org"}, want: "permerror"},
		"K09 t=y":                         {key: keyRecord(rsaKey()) + "; t=y", want: "neutral"},
		"K09 s=other":                     {key: keyRecord(rsaKey()) + "; s=other", want: "permerror"},
		"K09 s=email":                     {key: keyRecord(rsaKey()) + "; s=tlsrpt:email", want: "pass"},
		"K09 s=*":                         {key: keyRecord(rsaKey()) + "; s=*", want: "pass"},
		"K10 selector with NUL":           {forgery: forgery{s: "se\x00l"}, want: "permerror"},
		"K10 300-octet label":             {forgery: forgery{s: strings.Repeat("s", 300)}, want: "permerror"},
		"K10 two dots":                    {forgery: forgery{s: "a..b"}, want: "permerror"},
		"K10 upper case":                  {forgery: forgery{s: "SEL", d: "Example.ORG"}, want: "pass"},
		"K14 tag twice":                   {forgery: forgery{extra: "; s=sel"}, want: "permerror"},
		"K14 tag without value":           {forgery: forgery{extra: "; foo"}, want: "permerror"},
		"K14 a tag in capitals":           {bend: [2]string{"; s=", "; S="}, want: "permerror"}, // tag names have a case
		"K14 a value in capitals":         {forgery: forgery{a: "RSA-SHA256"}, want: "pass"},
		"K14 missing =":                   {bend: [2]string{"; bh=", "; bh"}, want: "permerror"},
		"K14 unknown tag":                 {forgery: forgery{extra: "; foo=bar"}, want: "pass"},
		"K14 bad name":                    {forgery: forgery{extra: "; 1a=bar"}, want: "permerror"},
		"K14 many tags":                   {forgery: forgery{extra: manyTags(101)}, want: "permerror"},
		"K14 value in the copied fields":  {forgery: forgery{extra: "; z=Subject:Job=20b=20x"}, want: "pass"},
		"K15 odd domain":                  {forgery: forgery{d: "legitimate.com'a.attack.com"}, want: "permerror"},
		"another way to look up":          {forgery: forgery{extra: "; q=dns/other"}, want: "permerror"},
		"unknown canonicalisation":        {forgery: forgery{c: "nofws"}, want: "permerror"},
		"header canonicalisation alone":   {forgery: forgery{c: "relaxed"}, want: "pass"},
		"unknown algorithm":               {forgery: forgery{a: "rsa-md5"}, want: "permerror"},
		"names a field that isn't there":  {forgery: forgery{h: "from:x-none:subject:x-none"}, want: "pass"},
		"names a field oftener than held": {forgery: forgery{h: "from:from:from:subject:subject"}, want: "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			z := usualZone()
			if c.key != "" {
				z.with("sel._domainkey.example.org", c.key)
			}
			raw := c.raw + c.forgery.signed(t, plainMail)
			if c.bend[0] != "" {
				raw = strings.Replace(raw, c.bend[0], c.bend[1], 1)
			}
			a := verifyMail(t, z, raw)
			wantResults(t, a, c.want)
			if c.want != "pass" {
				wantVerdict(t, a, "unverified")
			}
			if strings.HasPrefix(name, "K10") && c.want == "permerror" && slices.ContainsFunc(z.asked, func(name string) bool { return !strings.HasPrefix(name, "_dmarc.") }) {
				t.Errorf("asked for %q", z.asked)
			}
		})
	}
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "; t%d=x", i)
	}
	return b.String()
}

func TestKeysOfAllSizes(t *testing.T) {
	// What is refused is refused before anything is computed with it, and what is
	// not has at most 8192 bits and an exponent of 31: there is no key that a
	// stranger could make costly (BenchmarkLargestKey).
	for name, c := range map[string]struct {
		bits, exponent int
		want           string
	}{
		"512": {512, 65537, "permerror"}, "768": {768, 65537, "permerror"}, "1023": {1023, 65537, "permerror"},
		"8193": {8193, 65537, "permerror"}, "16384": {16384, 65537, "permerror"}, "65536": {65536, 65537, "permerror"},
		"8192": {8192, 65537, "fail"}, "8192 and the largest exponent": {8192, maxExponent, "fail"},
		"huge exponent": {2048, 1<<62 + 1, "permerror"}, "exponent beyond the bound": {2048, maxExponent + 2, "permerror"},
		"exponent 0": {2048, 0, "permerror"}, "exponent 1": {2048, 1, "fail"}, "negative exponent": {2048, -3, "permerror"},
	} {
		t.Run("K04 "+name, func(t *testing.T) {
			record := oddKey(c.bits, c.exponent)
			key, refused := readKey(record)
			if c.want == "permerror" && (refused.result != c.want || key.rsa != nil) {
				t.Errorf("%+v, %+v", key, refused)
			}
			raw := forgery{}.signed(t, plainMail)
			a := verifyMail(t, usualZone().with("sel._domainkey.example.org", record), raw)
			if len(record) > maxRecord {
				return // the resolver hands no such record out
			}
			wantResults(t, a, c.want)
		})
	}
	t.Run("K04 1024 is weak", func(t *testing.T) {
		key := newRSA(1024)
		a := verifyMail(t, usualZone().with("sel._domainkey.example.org", keyRecord(key)), forgery{key: key}.signed(t, plainMail))
		wantVerdict(t, a, "verified")
		if !strings.Contains(a.DKIM[0].Reason, "weak") {
			t.Errorf("reason: %q", a.DKIM[0].Reason)
		}
	})
}

// oddKey is the record of a key that nobody can sign with.
func oddKey(bits, exponent int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	public := &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: exponent}
	return "p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(public))
}

func TestKeyTrouble(t *testing.T) {
	raw := forgery{}.signed(t, plainMail)
	const key = "sel._domainkey.example.org"
	t.Run("K06 two records", func(t *testing.T) {
		a := verifyMail(t, usualZone().with(key, keyRecord(rsaKey()), keyRecord(rsaKey())), raw)
		wantResults(t, a, "permerror")
	})
	t.Run("K07 no such name", func(t *testing.T) {
		z := usualZone()
		delete(z.txt, key)
		a := verifyMail(t, z, raw)
		wantResults(t, a, "permerror")
		wantVerdict(t, a, "unverified")
	})
	t.Run("K08 SERVFAIL", func(t *testing.T) {
		a := verifyMail(t, usualZone().fails(key), raw)
		wantResults(t, a, "temperror")
		wantVerdict(t, a, "error")
	})
	t.Run("K08 no answer", func(t *testing.T) {
		z := usualZone()
		z.slow = make(chan struct{})
		a := verifyMail(t, z, raw, func(o *Options) { o.Budget = 30 * time.Millisecond }) // else it never ends
		wantResults(t, a, "temperror")
		wantVerdict(t, a, "error")
	})
	t.Run("K08 the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		z := usualZone()
		z.slow = make(chan struct{})
		a := New(Options{Resolver: z}).Verify(ctx, Request{Raw: []byte(raw), Message: message.Parse([]byte(raw))})
		wantVerdict(t, a, "error")
	})
}

func TestSignaturesAreChosen(t *testing.T) {
	var flood strings.Builder
	for i := range 60 {
		fmt.Fprintf(&flood, "DKIM-Signature: v=1; a=rsa-sha256; d=junk%d.example; s=s; h=from; bh=%s; b=AAAA\r\n",
			i, base64.StdEncoding.EncodeToString(make([]byte, 32)))
	}
	t.Run("K19 junk on top", func(t *testing.T) {
		z := usualZone()
		a := verifyMail(t, z, flood.String()+forgery{}.signed(t, plainMail))
		wantVerdict(t, a, "verified")
		if len(a.DKIM) != 5 || len(z.asked) > 10 {
			t.Errorf("%d signatures, %d questions", len(a.DKIM), len(z.asked))
		}
	})
	for name, bend := range map[string]func(i int, field string) string{
		"other versions": func(_ int, f string) string { return strings.Replace(f, "v=1", "v=2", 1) },
		"of the author's": func(i int, f string) string {
			return strings.Replace(f, fmt.Sprintf("d=junk%d.example", i), "d=example.org; v=1", 1)
		},
		"look-alikes": func(i int, f string) string {
			return strings.Replace(f, fmt.Sprintf("d=junk%d.example", i), "d=exаmple.org", 1)
		},
		"of public suffixes": func(i int, f string) string {
			return strings.Replace(f, fmt.Sprintf("d=junk%d.example", i), "d=org", 1)
		},
	} {
		t.Run("K19 junk on top, "+name, func(t *testing.T) {
			var junk strings.Builder
			for i, field := range strings.SplitAfter(strings.TrimSuffix(flood.String(), "\r\n"), "\r\n") {
				junk.WriteString(bend(i, strings.TrimSuffix(field, "\r\n")) + "\r\n")
			}
			z := usualZone()
			wantVerdict(t, verifyMail(t, z, junk.String()+forgery{}.signed(t, plainMail)), "verified")
			if len(z.asked) > 10 {
				t.Errorf("%d questions", len(z.asked))
			}
		})
	}
	t.Run("K19 with policies that must be walked to", func(t *testing.T) {
		z := usualZone().with("sel._domainkey.c.d.example.org", keyRecord(rsaKey()))
		raw := flood.String() + forgery{d: "c.d.example.org"}.signed(t, from("joe@a.b.example.org"))
		wantVerdict(t, verifyMail(t, z, raw), "verified")
		if len(z.asked) > 5+6 { // five keys; the author's names up to org, and two of the signer's
			t.Errorf("%d questions: %q", len(z.asked), z.asked)
		}
	})
	t.Run("several, one passes", func(t *testing.T) {
		raw := forgery{breakValue: true}.field(t, plainMail) + forgery{s: "ed", key: ed25519Key()}.signed(t, plainMail)
		a := verifyMail(t, usualZone(), raw)
		wantResults(t, a, "fail pass")
		wantVerdict(t, a, "verified")
	})
	t.Run("one that covers the signature below it", func(t *testing.T) {
		below := forgery{}.signed(t, plainMail)
		both := forgery{h: usualHeaders + ":dkim-signature"}.signed(t, below)
		a := verifyMail(t, usualZone(), both)
		wantResults(t, a, "pass pass")
		a = verifyMail(t, usualZone(), strings.Replace(both, "; d=example.org; s=sel; h=from:to:subject:date:message-id:references; bh", "; d=example.org;  s=sel;h=from:to:subject:date:message-id:references; bh", 1))
		if results(a) == "pass pass" {
			t.Error("a changed signature below passes")
		}
	})
}

// What is long and not a signature costs no signature its pass, and a long one
// on top is refused alone.
func TestK14LongFieldsSpoilNoSignature(t *testing.T) {
	var many strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&many, "someone%d@example.net,\r\n ", i)
	}
	crowd := strings.Replace(plainMail, "To: ", "To: "+many.String(), 1)
	for name, c := range map[string]struct{ raw, results string }{
		"K14 a long To":                {forgery{}.signed(t, crowd), "pass"},
		"K14 a long field, not signed": {"X-Long: " + strings.Repeat("x", 40<<10) + "\r\n" + forgery{}.signed(t, plainMail), "pass"},
		"K14 a long signature on top":  {"DKIM-Signature: v=1; d=example.org; x=" + strings.Repeat("x", 200<<10) + "\r\n" + forgery{}.signed(t, plainMail), "pass permerror"},
	} {
		t.Run(name, func(t *testing.T) {
			a := verifyMail(t, usualZone(), c.raw)
			wantResults(t, a, c.results)
			wantVerdict(t, a, "verified")
		})
	}
}

func TestCaps(t *testing.T) {
	for name, junk := range map[string]string{
		"D1 one folded field":       "X-Fold: a\r\n" + strings.Repeat(" \r\n", 350_000),
		"D1 many folded fields":     strings.Repeat("X-Fold: a\r\n"+strings.Repeat(" b\r\n", 2000), 100),
		"D2 many fields":            strings.Repeat("A: b\r\n", 16_000),
		"K14 tag list of a million": "DKIM-Signature: v=1" + strings.Repeat("; a=b", 200_000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(junk + forgery{}.signed(t, plainMail))
			m := message.Parse(raw)
			began := time.Now()
			a := New(Options{Resolver: usualZone().with("_dmarc.example.org", "v=DMARC1; p=reject")}).Verify(t.Context(), Request{Raw: raw, Message: m})
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %v", took)
			}
			wantResults(t, a, "policy")
			if a.Verdict == "verified" {
				t.Error("verified")
			}
		})
	}
	t.Run("D2 as many names as fields", func(t *testing.T) {
		raw := strings.Repeat("A: b\r\n", 900) + forgery{h: "from" + strings.Repeat(":a", 15_000)}.signed(t, plainMail)
		began := time.Now()
		wantResults(t, verifyMail(t, usualZone(), raw), "fail")
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("D3 four million line ends", func(t *testing.T) {
		head := strings.SplitAfter(plainMail, "\r\n\r\n")[0]
		raw := forgery{c: "simple/simple"}.signed(t, head+strings.Repeat("\r\n", 4<<20)+"x")
		raw = forgery{c: "simple/simple", s: "ed", key: ed25519Key()}.field(t, raw) + raw
		began := time.Now()
		wantResults(t, verifyMail(t, usualZone(), raw), "pass pass")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("D11 no blank line", func(t *testing.T) {
		raw := strings.SplitAfter(plainMail, "\r\n\r\n")[0]
		signed := msgauthSigned(t, raw, dkim.SignOptions{})
		wantResults(t, verifyMail(t, usualZone(), strings.TrimSuffix(signed, "\r\n")), "pass")
		wantResults(t, verifyMail(t, usualZone(), strings.TrimSuffix(signed, "\r\n\r\n")), "pass")
	})
}

func TestBodyStopsWithTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := bodyHasher{body: []byte(strings.Repeat("x\r\n", askEvery))}
	if _, err := b.sum(ctx, true); err == nil {
		t.Error("a body was hashed to its end after time was up")
	}
}

// A worker that is busy keeps others waiting no longer than their budget.
func TestPoolIsBounded(t *testing.T) {
	v := New(Options{Resolver: usualZone(), Workers: 1, Budget: 20 * time.Millisecond, Now: func() time.Time { return noon }})
	v.cpu <- struct{}{}
	raw := []byte(forgery{}.signed(t, plainMail))
	a := v.Verify(t.Context(), Request{Raw: raw, Message: message.Parse(raw)})
	wantResults(t, a, "temperror")
	wantVerdict(t, a, "error")
	<-v.cpu
}

// What is looked up again a year later is judged by its day.
func TestK13AYearLater(t *testing.T) {
	raw := []byte(forgery{extra: fmt.Sprintf("; x=%d", noon.Add(time.Hour).Unix())}.signed(t, plainMail))
	v := New(Options{Resolver: usualZone(), Now: func() time.Time { return noon.AddDate(1, 0, 0) }})
	m := message.Parse(raw)
	wantVerdict(t, v.Verify(t.Context(), Request{Raw: raw, Message: m, Received: noon}), "verified")
	wantVerdict(t, v.Verify(t.Context(), Request{Raw: raw, Message: m}), "unverified")
}
