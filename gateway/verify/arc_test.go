package verify

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/threading/message"
)

// sealer adds ARC sets, with full freedom over their tags. As for forgery, that
// it canonicalises rightly is shown against another program.
type sealer struct {
	d, cv, report string // defaults: relay.example, by the instance, dmarc=pass for example.org
	h, algorithm  string
	seal, message string // more tags of these two fields, each with "; " before it
	instance      string // as written; default: the next
	breakSeal     bool
	breakMessage  bool
	key           crypto.Signer
}

const passedThere = "dmarc=pass (p=reject) header.from=example.org"

// on is raw with one more set on top.
func (s sealer) on(t testing.TB, raw string) string {
	t.Helper()
	n := 1 + strings.Count(raw, "ARC-Seal:")
	def := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	def(&s.d, "relay.example")
	def(&s.report, passedThere)
	def(&s.h, "from:to:subject:date")
	def(&s.algorithm, "rsa-sha256")
	def(&s.instance, fmt.Sprint(n))
	if def(&s.cv, "pass"); n == 1 && s.cv == "pass" {
		s.cv = "none"
	}
	if s.key == nil {
		s.key = rsaKey()
	}
	report := "ARC-Authentication-Results: i=" + s.instance + "; mx." + s.d + ";\r\n " + s.report + "\r\n"

	c := cut([]byte(raw))
	body := bodyHasher{body: c.body}
	bodyHash, err := body.sum(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	bare := "ARC-Message-Signature: i=" + s.instance + "; a=" + s.algorithm + "; c=relaxed/relaxed; d=" + s.d + "; s=arc;\r\n h=" + s.h +
		s.message + "; bh=" + base64.StdEncoding.EncodeToString(bodyHash) + ";\r\n b="
	sig := signature{place: -1, headers: strings.Split(s.h, ":"), bare: []byte(bare), relaxedHeader: true}
	message := bare + s.sign(t, (&checker{mail: &c}).headerHash(&sig), s.breakMessage) + "\r\n"

	// The sets below, the oldest first, each as report, message and seal.
	var sealed []byte
	for i := len(c.byName[arcSealField]) - 1; i >= 0; i-- {
		for _, name := range []string{arcResultsField, arcSignatureField, arcSealField} {
			sealed = relaxedHeader(sealed, c.fields[c.byName[name][i]].raw)
		}
	}
	sealed = relaxedHeader(sealed, []byte(report))
	sealed = relaxedHeader(sealed, []byte(message))
	bare = "ARC-Seal: i=" + s.instance + "; a=" + s.algorithm + "; cv=" + s.cv + "; d=" + s.d + "; s=arc" + s.seal + ";\r\n b="
	sealed = relaxedHeader(sealed, []byte(bare))
	sum := sha256.Sum256(sealed[:len(sealed)-len(crlf)])
	return bare + s.sign(t, sum[:], s.breakSeal) + "\r\n" + message + report + raw
}

func (s sealer) sign(t testing.TB, sum []byte, broken bool) string {
	t.Helper()
	value, err := s.key.Sign(rand.Reader, sum, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if broken {
		value[0] ^= 1
	}
	return base64.StdEncoding.EncodeToString(value)
}

// relays is the usual zone with the keys of three sealers, and example.org
// refusing what doesn't align.
func relays() *zone {
	z := usualZone().with("_dmarc.example.org", "v=DMARC1; p=reject")
	for _, d := range []string{"relay.example", "second.example", "stranger.example"} {
		z.with("arc._domainkey."+d, keyRecord(rsaKey()))
	}
	return z
}

func trustRelays(o *Options) {
	o.TrustedSealers = []string{" Relay.Example. ", "second.example"}
	o.TrustedAuthserv = []string{"mx.example"}
}

const arcKey = "arc._domainkey.relay.example"

func TestARC(t *testing.T) {
	relay, second, stranger := sealer{}, sealer{d: "second.example"}, sealer{d: "stranger.example"}
	no := func(s sealer) sealer { s.report = "dmarc=fail header.from=example.org"; return s }
	one := relay.on(t, plainMail)
	two := no(second).on(t, one)
	without := func(raw, field string) string { // the topmost of that name
		from := strings.Index(raw, field+":")
		end := from + strings.Index(raw[from:], "\r\n")
		for strings.HasPrefix(raw[end:], "\r\n ") {
			end += 2 + strings.Index(raw[end+2:], "\r\n")
		}
		return raw[:from] + raw[end+2:]
	}
	top := func(raw, field string) string { // that field alone
		rest := without(raw, field)
		from := strings.Index(raw, field+":")
		return raw[from : from+len(raw)-len(rest)]
	}
	long := func(n int) string {
		raw := plainMail
		for range n {
			raw = relay.on(t, raw)
		}
		return raw
	}
	longest := long(maxInstances)

	const passes, fails = "pass", "fail"
	for name, c := range map[string]struct {
		raw    string
		top    string
		dns    map[string]string
		fails  string // a name that isn't answered
		arc    string // "" for none
		domain string // of the newest sealer; default relay.example
		want   string
	}{
		"K18 one set":                          {raw: one, arc: passes, want: "unverified"},
		"K18 two sets, the older vouches":      {raw: two, arc: passes, domain: "second.example", want: "unverified"},
		"K18 fifty sets":                       {raw: longest, arc: passes, want: "unverified"},
		"K18 no chain":                         {raw: plainMail, want: "failed"},
		"K18 unknown sealer with pass":         {raw: stranger.on(t, plainMail), want: "failed"},
		"K18 unknown sealer above a known one": {raw: stranger.on(t, one), want: "failed"},
		"K18 unknown sealer below a known one": {raw: no(relay).on(t, stranger.on(t, plainMail)), arc: passes, want: "failed"},
		"K18 unknown sealer between two":       {raw: no(second).on(t, no(stranger).on(t, one)), arc: passes, domain: "second.example", want: "failed"},
		"K18 unknown one below those who vouch": {
			raw: no(second).on(t, relay.on(t, no(stranger).on(t, plainMail))), arc: passes, domain: "second.example", want: "unverified",
		},

		"K18 the body was changed":           {raw: strings.Replace(one, "it \t burns", "it \t freezes", 1), arc: fails, want: "failed"},
		"K18 a signed field was changed":     {raw: strings.Replace(one, "Subject: The", "Subject: My", 1), arc: fails, want: "failed"},
		"K18 the results were changed":       {raw: strings.Replace(two, "dmarc=fail header.from=example.org", "dmarc=pass header.from=example.org", 1), arc: fails, domain: "second.example", want: "failed"},
		"K18 older results were changed":     {raw: strings.Replace(two, "(p=reject)", "(p=none)", 1), arc: fails, domain: "second.example", want: "failed"},
		"K18 only the older body was signed": {raw: second.on(t, strings.Replace(one, "it \t burns", "it \t freezes", 1)), arc: passes, domain: "second.example", want: "unverified"},
		"K18 broken seal":                    {raw: sealer{breakSeal: true}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 broken older seal":              {raw: second.on(t, sealer{breakSeal: true}.on(t, plainMail)), arc: fails, domain: "second.example", want: "failed"},
		"K18 broken message signature":       {raw: sealer{breakMessage: true}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 another's key":                  {raw: sealer{key: otherKey()}.on(t, plainMail), arc: fails, want: "failed"},

		"K18 missing seal":                    {raw: without(two, "ARC-Seal"), arc: fails, want: "failed"},
		"K18 missing message signature":       {raw: without(one, "ARC-Message-Signature"), arc: fails, want: "failed"},
		"K18 missing results":                 {raw: without(one, "ARC-Authentication-Results"), arc: fails, want: "failed"},
		"K18 missing instance":                {raw: sealer{instance: "3"}.on(t, one), arc: fails, want: "failed"},
		"K18 first instance is missing":       {raw: sealer{instance: "2", cv: "none"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 a set twice":                     {raw: top(one, "ARC-Seal") + top(one, "ARC-Message-Signature") + top(one, "ARC-Authentication-Results") + one, arc: fails, want: "failed"},
		"K18 a seal twice":                    {raw: top(one, "ARC-Seal") + one, arc: fails, want: "failed"},
		"K18 two results of one instance":     {raw: strings.Replace(two, "ARC-Authentication-Results: i=2", "ARC-Authentication-Results: i=1", 1), arc: fails, domain: "second.example", want: "failed"},
		"K18 i=51":                            {raw: relay.on(t, longest), arc: fails, want: "failed"},
		"K18 i=51 alone":                      {raw: sealer{instance: "51"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 i=0":                             {raw: sealer{instance: "0"}.on(t, plainMail), want: "failed"},
		"K18 i= is no number":                 {raw: sealer{instance: "1x"}.on(t, plainMail), want: "failed"},
		"K18 seal without instance":           {raw: "ARC-Seal: d=relay.example; s=arc\r\n" + plainMail, want: "failed"},
		"K18 cv=fail":                         {raw: sealer{cv: "fail"}.on(t, one), arc: fails, want: "failed"},
		"K18 cv=fail below":                   {raw: second.on(t, sealer{cv: "fail"}.on(t, plainMail)), arc: fails, domain: "second.example", want: "failed"},
		"K18 cv=none above":                   {raw: sealer{cv: "none"}.on(t, one), arc: fails, want: "failed"},
		"K18 cv in capitals":                  {raw: sealer{cv: "NONE"}.on(t, plainMail), arc: passes, want: "unverified"},
		"K18 no cv":                           {raw: strings.Replace(one, " cv=none;", "", 1), arc: fails, want: "failed"},
		"K18 a seal with h=":                  {raw: sealer{seal: "; h=from"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 SHA-1":                           {raw: sealer{algorithm: "rsa-sha1"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 a length":                        {raw: sealer{message: "; l=0"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 no From in h=":                   {raw: sealer{h: "to:subject"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 the seal in h=":                  {raw: sealer{h: "from:arc-seal"}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 a signed field that came later":  {raw: "Subject: x\r\n" + one, arc: fails, want: "failed"},
		"K18 expired":                         {raw: sealer{message: fmt.Sprintf("; x=%d", noon.Unix()-1)}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 made in the future":              {raw: sealer{seal: fmt.Sprintf("; t=%d", noon.Unix()+600)}.on(t, plainMail), arc: fails, want: "failed"},
		"K18 made now":                        {raw: sealer{seal: fmt.Sprintf("; t=%d", noon.Unix())}.on(t, plainMail), arc: passes, want: "unverified"},
		"K18 no key":                          {raw: one, dns: map[string]string{arcKey: ""}, arc: fails, want: "failed"},
		"K18 a key that is only tested":       {raw: one, dns: map[string]string{arcKey: keyRecord(rsaKey()) + "; t=y"}, arc: fails, want: "failed"},
		"K18 DNS fails":                       {raw: one, fails: arcKey, arc: "temperror", want: "failed"},
		"K18 DNS fails for an older seal":     {raw: two, fails: arcKey, arc: "temperror", domain: "second.example", want: "failed"},
		"K18 DNS fails, but it is broken too": {raw: sealer{breakMessage: true}.on(t, second.on(t, plainMail)), fails: "arc._domainkey.second.example", arc: fails, want: "failed"},

		"K18 the results say fail":             {raw: no(relay).on(t, plainMail), arc: passes, want: "failed"},
		"K18 the results say nothing":          {raw: sealer{report: "spf=pass smtp.mailfrom=example.org"}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 a pass for another domain":        {raw: sealer{report: "dmarc=pass header.from=evil.example"}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 a pass for a subdomain":           {raw: sealer{report: "dmarc=pass header.from=a.example.org"}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 two passes":                       {raw: sealer{report: passedThere + "; " + passedThere}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 a pass in quotes":                 {raw: sealer{report: `dkim=fail reason="x; ` + passedThere + `"`}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 a pass in a comment":              {raw: sealer{report: "dkim=fail (; dmarc=pass header.from=example.org)"}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 results that can't be read":       {raw: sealer{report: passedThere + "; ("}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 SPF and ARC passes are no DMARC":  {raw: sealer{report: "arc=pass; spf=pass smtp.mailfrom=joe@example.org"}.on(t, plainMail), arc: passes, want: "failed"},
		"K18 forged results beside a chain":    {raw: "Authentication-Results: relay.example; " + passedThere + "\r\n" + no(relay).on(t, plainMail), arc: passes, want: "failed"},
		"K18 a trusted server's word of ARC":   {raw: plainMail, top: "Authentication-Results: mx.example; arc=pass\r\n", arc: "pass", domain: "-", want: "failed"},
		"K18 its word, and an unknown sealer":  {raw: stranger.on(t, plainMail), top: "Authentication-Results: mx.example; arc=fail\r\n", arc: "fail", domain: "-", want: "failed"},
		"K18 its word, and a chain of our own": {raw: one, top: "Authentication-Results: mx.example; arc=fail\r\n", arc: passes, want: "unverified"},

		"K18 never verified":           {raw: one, dns: map[string]string{"_dmarc.example.org": ""}, arc: passes, want: "unverified"},
		"K18 a signature that passes":  {raw: relay.on(t, forgery{}.signed(t, plainMail)), arc: passes, want: "verified"},
		"K18 the policy fails in DNS":  {raw: one, fails: "_dmarc.example.org", arc: passes, want: "error"},
		"K18 two From fields":          {raw: "From: x@example.org\r\n" + one, arc: fails, want: "failed"},
		"K18 over the header's bounds": {raw: strings.Repeat("X: x\r\n", maxFields) + one, want: "unverified"},
	} {
		t.Run(name, func(t *testing.T) {
			z := relays().fails(c.fails)
			for at, record := range c.dns {
				if z.with(at, record); record == "" {
					delete(z.txt, at)
				}
			}
			a := verifyMail(t, z, c.top+c.raw, trustRelays)
			wantVerdict(t, a, c.want)
			wantARC(t, a, c.arc, c.domain)
			if a.AlignedPass != (c.want == "verified") {
				t.Error("AlignedPass")
			}
		})
	}

	known := func(key string) bool { return key == "joe@example.org" }
	t.Run("K18 an agent's address stays failed", func(t *testing.T) {
		a := verifyKnown(t, relays(), one, known, trustRelays)
		wantVerdict(t, a, "failed")
		wantARC(t, a, "pass", "")
	})
	t.Run("K18 nobody is trusted by default", func(t *testing.T) {
		z := relays()
		a := verifyMail(t, z, one)
		wantVerdict(t, a, "failed")
		wantARC(t, a, "", "")
		if slices.Contains(z.asked, arcKey) {
			t.Errorf("asked %q", z.asked)
		}
	})
	t.Run("K18 a forged newest set costs two questions", func(t *testing.T) {
		raw := plainMail
		for i := range 49 {
			raw = sealer{d: fmt.Sprintf("s%d.example", i)}.on(t, raw)
		}
		z := relays()
		a := verifyMail(t, z, sealer{key: otherKey()}.on(t, raw), trustRelays)
		wantARC(t, a, "fail", "")
		if len(z.asked) > 3 {
			t.Errorf("%d questions", len(z.asked))
		}
	})
	t.Run("K18 no time", func(t *testing.T) {
		z := relays()
		z.slow = make(chan struct{})
		a := verifyMail(t, z, one, trustRelays, func(o *Options) { o.Budget = 20 * time.Millisecond })
		wantARC(t, a, "temperror", "")
	})
	t.Run("K18 a year later", func(t *testing.T) {
		raw := sealer{message: fmt.Sprintf("; x=%d", noon.Unix()+60)}.on(t, plainMail)
		opt := Options{Resolver: relays(), Now: func() time.Time { return noon.AddDate(1, 0, 0) }}
		trustRelays(&opt)
		a := New(opt).Verify(t.Context(), Request{Raw: []byte(raw), Message: message.Parse([]byte(raw)), Received: noon})
		wantARC(t, a, "pass", "")
	})
	t.Run("K18 in our field", func(t *testing.T) {
		a := verifyMail(t, relays(), one, trustRelays)
		if got := a.Header("desk.example"); !strings.HasSuffix(got, ";\r\n arc=pass header.d=relay.example") {
			t.Errorf("%q", got)
		}
	})
}

func wantARC(t *testing.T, a Auth, result, domain string) {
	t.Helper()
	if result == "" {
		if a.ARC != nil {
			t.Errorf("arc: %+v, want none", *a.ARC)
		}
		return
	}
	switch domain {
	case "":
		domain = "relay.example"
	case "-":
		domain = ""
	}
	if want := (store.MethodResult{Result: result, Domain: domain}); a.ARC == nil || *a.ARC != want {
		t.Errorf("arc: %+v, want %+v", a.ARC, want)
	}
}

// K18: chains that another program seals pass with us, chains that we would take
// pass there, and what is bent afterwards passes nowhere.
func TestARCAgainstOracle(t *testing.T) {
	z := relays()
	txt := map[string]string{}
	for name, records := range z.txt {
		txt[name] = records[0]
	}
	by := func(domain string) testbed.ARCSealer {
		return testbed.ARCSealer{Domain: domain, Selector: "arc", Authserv: "mx." + domain, Key: rsaKey().(*rsa.PrivateKey)}
	}
	there := func(domain, says, raw string) string {
		return string(by(domain).Seal(t, []byte("Authentication-Results: mx."+domain+"; "+says+"\r\n"+raw)))
	}
	one := there("relay.example", passedThere, plainMail)
	chains := map[string]string{
		"theirs":                 one,
		"theirs, twice":          there("second.example", "arc=pass; dmarc=fail header.from=example.org", one),
		"theirs, signed before":  there("relay.example", passedThere, forgery{d: "mailer.example"}.signed(t, plainMail)),
		"theirs over ours":       there("second.example", "arc=pass; spf=pass smtp.mailfrom=a@example.org", sealer{}.on(t, plainMail)),
		"ours":                   sealer{}.on(t, plainMail),
		"ours over theirs":       sealer{d: "second.example"}.on(t, one),
		"ours, three, folded":    sealer{}.on(t, sealer{d: "second.example"}.on(t, sealer{report: "spf=none;\r\n\t" + passedThere}.on(t, plainMail))),
		"no body":                there("relay.example", passedThere, strings.SplitAfter(plainMail, "\r\n\r\n")[0]),
		"cv=fail":                sealer{cv: "fail"}.on(t, one),
		"cv=none above":          sealer{cv: "none"}.on(t, one),
		"broken seal":            sealer{d: "second.example"}.on(t, sealer{breakSeal: true}.on(t, plainMail)),
		"missing instance":       sealer{instance: "3"}.on(t, one),
		"a stranger without key": sealer{d: "second.example"}.on(t, sealer{d: "nokey.example"}.on(t, plainMail)),
	}
	agree := func(name, raw string) {
		t.Run("K18 "+name, func(t *testing.T) {
			a := verifyMail(t, z, raw, trustRelays)
			want := testbed.VerifyARC(t, []byte(raw), txt)
			if a.ARC == nil || a.ARC.Result != want.Result {
				t.Errorf("%+v, the oracle says %+v", a.ARC, want)
			}
		})
	}
	for name, raw := range chains {
		agree(name, raw)
	}
	for _, name := range []string{"theirs, twice", "ours over theirs"} {
		for bent, from := range map[string][2]string{
			", body changed": {"it \t burns", "it \t freezes"}, ", Subject changed": {"Subject: The", "Subject: A"},
			", results changed": {"dmarc=pass", "dmarc=none"}, ", blanks changed": {"Subject: The  printer", "Subject:\r\n The printer"},
		} {
			agree(name+bent, strings.Replace(chains[name], from[0], from[1], 1))
		}
	}
}

// Whatever a chain holds, reading it ends, and what is read is whole.
func FuzzReadChain(f *testing.F) {
	f.Add([]byte(sealer{d: "second.example"}.on(f, sealer{}.on(f, plainMail))))
	f.Add([]byte("ARC-Seal: i=1; cv=none\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: (i=2) i (=) = 1 ; x; dmarc=pass\r\n\r\n"))
	f.Add([]byte("ARC-Seal: i=51\nARC-Seal: i=1; i=1\nARC-Seal: i=-1\n\n"))
	z := relays()
	opt := Options{Resolver: z, Now: func() time.Time { return noon }}
	trustRelays(&opt)
	v := New(opt)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := cut(raw)
		sets, ok := readChain(&m, noon)
		if ok {
			for i, set := range sets {
				if set.complete != [3]bool{true, true, true} || set.seal.domain == "" || set.status != expectedStatus(i) {
					t.Errorf("set %d of %d: %+v", i+1, len(sets), set)
				}
			}
		}
		z.asked = nil
		body := bodyHasher{body: m.body}
		got := v.checkChain(t.Context(), &m, &body, "example.org", noon)
		switch {
		case got.result == nil && !got.dmarcPass:
		case got.result == nil || !slices.Contains(v.sealers, got.result.Domain):
			t.Errorf("the word of nobody we trust: %+v", got)
		case got.result.Result == resultPass && !ok, got.dmarcPass && got.result.Result != resultPass:
			t.Errorf("a broken chain passes: %+v", got)
		}
		if len(z.asked) > maxInstances+1 {
			t.Errorf("%d questions", len(z.asked))
		}
	})
}
