package verify

import (
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	type published map[string][]string
	for name, c := range map[string]struct {
		author string
		dns    published
		fails  []string
		last   published
		want   string // result, policy
		none   bool   // PolicyKnownNone
	}{
		"K20 no record":                      {want: "none ", none: true},
		"p=none":                             {dns: published{"_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "fail none", none: true},
		"p=reject":                           {dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"K20 mixed case":                     {dns: published{"_dmarc.example.org": {"V = dmarc1 ; P = Reject ;"}}, want: "fail reject"},
		"K20 pct, rf, ri, fo, psd":           {dns: published{"_dmarc.example.org": {"v=DMARC1; pct=0; rf=iodef; ri=x; psd=u; fo=9; junk; p=quarantine"}}, want: "fail quarantine"},
		"K20 two records":                    {dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject", "v=DMARC1; p=none"}}, want: "none ", none: true},
		"other records at the name":          {dns: published{"_dmarc.example.org": {"v=spf1 -all", "", "v=DMARC12; p=none", "v=DMARC1; p=reject"}}, want: "fail reject"},
		"version not first":                  {dns: published{"_dmarc.example.org": {"p=reject; v=DMARC1"}}, want: "none ", none: true},
		"no p":                               {dns: published{"_dmarc.example.org": {"v=DMARC1; rua=mailto:a@b.example"}}, want: "fail none", none: true},
		"unknown p":                          {dns: published{"_dmarc.example.org": {"v=DMARC1; p=later"}}, want: "fail none", none: true},
		"below, from the organisation":       {author: "a.b.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"K20 one in between":                 {author: "a.b.c.example.org", dns: published{"_dmarc.b.c.example.org": {"v=DMARC1; p=none"}, "_dmarc.c.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"K20 one above beats one in between": {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=reject"}, "_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "fail none", none: true},
		"K20 psd=n in between":               {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=none; sp=reject; psd=n"}, "_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "fail reject"},
		"K20 psd=n in between, np":           {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=none; np=reject; psd=N"}}, want: "fail reject"},
		"K20 psd=n at the name itself":       {author: "b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=reject; sp=none; psd=n"}}, want: "fail reject"},
		"K20 psd=y in between":               {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=none; sp=reject; psd=y"}, "_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "fail reject"},
		"K20 psd=y, one registered below":    {author: "a.b.c.example.org", dns: published{"_dmarc.b.c.example.org": {"v=DMARC1; p=none; sp=quarantine"}, "_dmarc.c.example.org": {"v=DMARC1; p=none; sp=reject; psd=y"}}, want: "fail quarantine"},
		"K20 psd=y, one far below it":        {author: "a.b.c.d.example.org", dns: published{"_dmarc.b.c.d.example.org": {"v=DMARC1; p=none"}, "_dmarc.d.example.org": {"v=DMARC1; p=reject; psd=y"}}, want: "fail reject"},
		"K20 two in between are none":        {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=reject; psd=n", "v=DMARC1; p=reject; psd=n"}}, want: "none ", none: true},
		"K20 DNS fails in between":           {author: "a.b.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none"}}, fails: []string{"_dmarc.b.example.org"}, want: "temperror "},
		"K20 DNS fails above what decides":   {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=reject; psd=n"}}, fails: []string{"_dmarc.example.org"}, want: "fail reject"},
		"K20 eight questions at most":        {author: "a.b.c.d.e.f.g.h.i.j.k.example.org", want: "none ", none: true},
		"K20 the eighth decides":             {author: "a.b.c.d.e.f.g.h.i.j.k.example.org", dns: published{"_dmarc.org": {"v=DMARC1; p=reject; psd=y"}}, want: "fail reject"},
		"K20 what the walk leaves out":       {author: "a.b.c.d.e.f.g.h.i.j.k.example.org", dns: published{"_dmarc.b.c.d.e.f.g.h.i.j.k.example.org": {"v=DMARC1; p=reject; psd=n"}}, want: "none ", none: true},
		"below, its own":                     {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none"}, "_dmarc.a.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		// RFC 7489 ended the search there, RFC 9989 goes on as if there were none
		"K20 below, two of its own":       {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}, "_dmarc.a.example.org": {"v=DMARC1", "v=DMARC1"}}, want: "fail reject"},
		"sp=none":                         {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject; sp=none"}}, want: "fail none", none: true},
		"sp=reject":                       {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=reject"}}, want: "fail reject"},
		"sp at the name itself":           {dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=reject"}}, want: "fail none", none: true},
		"K20 np, not there":               {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=none; np=reject"}}, want: "fail reject"},
		"K20 np, there":                   {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; np=reject"}, "a.example.org": {"x"}}, want: "fail none", none: true},
		"K20 np, who knows":               {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; np=reject"}}, fails: []string{"a.example.org"}, want: "temperror "},
		"np without difference":           {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject; np=reject"}}, fails: []string{"a.example.org"}, want: "fail reject"},
		"K20 of a public suffix":          {author: "example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject"}}, want: "none ", none: true},
		"K20 of a registry":               {author: "example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject; psd=y"}}, want: "fail reject"},
		"K20 of a registry, sp":           {author: "a.example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject; sp=none; psd=y"}}, want: "fail none", none: true},
		"K20 of a registry, np":           {author: "example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=none; np=reject; psd=y"}}, want: "fail reject"},
		"K20 a registry above one's own":  {author: "example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject; psd=y"}, "_dmarc.example.co.uk": {"v=DMARC1; p=none"}}, want: "fail none", none: true},
		"K20 DNS fails at a registry":     {author: "example.co.uk", fails: []string{"_dmarc.co.uk"}, want: "temperror "},
		"K20 a suffix that nobody listed": {author: "mail.desk.internal", dns: published{"_dmarc.internal": {"v=DMARC1; p=reject; psd=y"}}, want: "none ", none: true},
		"K20 a public suffix in From":     {author: "co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject; sp=none"}}, want: "fail reject"},
		"DNS fails":                       {fails: []string{"_dmarc.example.org"}, want: "temperror "},
		"DNS fails for the second":        {author: "a.example.org", fails: []string{"_dmarc.example.org"}, want: "temperror "},
		"DNS fails, none before":          {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": nil, "_dmarc.org": nil}, want: "temperror ", none: true},
		"DNS fails, half remembered":      {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": nil}, want: "temperror "},
		"DNS fails, p=none before":        {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "temperror ", none: true},
		"DNS fails, p=reject before":      {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "temperror "},
		"DNS fails, half known":           {author: "a.example.org", fails: []string{"_dmarc.a.example.org"}, last: published{"_dmarc.a.example.org": nil}, want: "temperror "},
	} {
		t.Run(name, func(t *testing.T) {
			if c.author == "" {
				c.author = "example.org"
			}
			z := &zone{txt: c.dns, failing: map[string]bool{}, last: c.last}
			z.fails(c.fails...)
			a := verifyMail(t, z, from("joe@"+strings.ToUpper(c.author)))
			if got := a.DMARC.Result + " " + a.DMARC.Policy; got != c.want || a.DMARC.Domain != c.author {
				t.Errorf("%q for %q, want %q", got, a.DMARC.Domain, c.want)
			}
			if a.PolicyKnownNone != c.none {
				t.Errorf("PolicyKnownNone is %v", a.PolicyKnownNone)
			}
			// A name at its organisation or one below it: both as before the walk,
			// and where neither has a record the registry.
			usual := 2
			if strings.HasPrefix(c.want, "none") || c.dns["_dmarc.co.uk"] != nil || c.fails != nil {
				usual++
			}
			if strings.Count(c.author, ".") < 3 && len(z.asked) > usual {
				t.Errorf("asked %q", z.asked)
			}
			if len(z.asked) > 8 {
				t.Errorf("asked %q", z.asked)
			}
		})
	}
}

// K11, K20: who signed for the author's organisation, with psd at names below
// what the public suffix list calls one organisation.
func TestPSDAlignment(t *testing.T) {
	const psdN, psdY = "v=DMARC1; p=none; psd=n", "v=DMARC1; p=none; psd=y"
	for name, c := range map[string]struct {
		author, signer string
		dns            map[string]string
		fails          string
		want           string
		asked          int // policies, at most; 0: 3
	}{
		"the very domain":                       {author: "example.org", signer: "example.org", want: "verified", asked: 3},
		"the very domain, below":                {author: "a.example.org", signer: "a.example.org", want: "verified"},
		"above":                                 {author: "a.example.org", signer: "example.org", want: "verified"},
		"below":                                 {author: "example.org", signer: "a.example.org", want: "verified"},
		"sisters":                               {author: "a.example.org", signer: "b.example.org", want: "verified", asked: 6},
		"K20 the author is its own":             {author: "a.example.org", signer: "example.org", dns: map[string]string{"a.example.org": psdN}, want: "unverified"},
		"K20 the author's parent is its own":    {author: "x.a.example.org", signer: "example.org", dns: map[string]string{"a.example.org": psdN}, want: "unverified"},
		"K20 both within":                       {author: "x.a.example.org", signer: "y.a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "verified"},
		"K20 at the top of it":                  {author: "x.a.example.org", signer: "a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "verified"},
		"K20 the signer is its own":             {author: "example.org", signer: "a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "unverified"},
		"K20 the signer's parent is its own":    {author: "example.org", signer: "x.a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "unverified"},
		"K20 the signer is its own, a sister":   {author: "b.example.org", signer: "a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "unverified", asked: 6},
		"K20 psd=n, the very domain":            {author: "a.example.org", signer: "a.example.org", dns: map[string]string{"a.example.org": psdN}, want: "verified"},
		"K20 a registry of one's own":           {author: "a.example.org", signer: "b.example.org", dns: map[string]string{"example.org": psdY}, want: "unverified"},
		"K20 a registry, one of its names":      {author: "x.a.example.org", signer: "a.example.org", dns: map[string]string{"example.org": psdY}, want: "verified"},
		"K20 a registry signs":                  {author: "a.example.org", signer: "example.org", dns: map[string]string{"example.org": psdY}, want: "unverified"},
		"K20 own record and a bound above":      {author: "x.a.example.org", signer: "example.org", dns: map[string]string{"x.a.example.org": "v=DMARC1; p=none", "a.example.org": psdN}, want: "unverified"},
		"K20 adkim=s asks no more":              {author: "a.example.org", signer: "example.org", dns: map[string]string{"a.example.org": "v=DMARC1; p=none; adkim=s"}, want: "unverified", asked: 2},
		"K11 psd=n above makes nothing wider":   {author: "a.co.uk", signer: "b.co.uk", dns: map[string]string{"co.uk": psdN}, want: "unverified"},
		"K11 a registry's record makes nothing": {author: "a.github.io", signer: "github.io", dns: map[string]string{"github.io": psdN}, want: "unverified"},
		"K20 DNS fails at the signer":           {author: "example.org", signer: "a.example.org", fails: "_dmarc.a.example.org", want: "error"},
		"K20 DNS fails at a deep signer":        {author: "example.org", signer: "x.a.example.org", fails: "_dmarc.a.example.org", want: "error"},
	} {
		t.Run(name, func(t *testing.T) {
			z := usualZone().with("sel._domainkey."+c.signer, keyRecord(rsaKey())).fails(c.fails)
			for at, record := range c.dns {
				z.with("_dmarc."+at, record)
			}
			a := verifyMail(t, z, forgery{d: c.signer}.signed(t, from("joe@"+c.author)))
			wantResults(t, a, "pass")
			wantVerdict(t, a, c.want)
			if a.AlignedPass != (c.want == "verified") {
				t.Errorf("AlignedPass is %v", a.AlignedPass)
			}
			if c.asked == 0 {
				c.asked = 5
			}
			if len(z.asked) > c.asked {
				t.Errorf("asked %q", z.asked)
			}
		})
	}
	t.Run("K20 a flood of subdomains that pass", func(t *testing.T) {
		z := usualZone()
		raw := from("joe@example.org")
		for i := range 5 {
			signer := strings.Repeat("x.", 6) + string(rune('a'+i)) + ".example.org"
			z.with("sel._domainkey."+signer, keyRecord(rsaKey()))
			raw = forgery{d: signer}.field(t, from("joe@example.org")) + raw
		}
		a := verifyMail(t, z, raw)
		wantResults(t, a, "pass pass pass pass pass")
		wantVerdict(t, a, "verified")
		if len(z.asked) > 5+maxWalked {
			t.Errorf("%d questions", len(z.asked))
		}
	})
}
