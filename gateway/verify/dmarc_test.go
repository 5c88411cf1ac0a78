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
		"K20 no record":                {want: "none ", none: true},
		"p=none":                       {dns: published{"_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "fail none", none: true},
		"p=reject":                     {dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"K20 mixed case":               {dns: published{"_dmarc.example.org": {"V = dmarc1 ; P = Reject ;"}}, want: "fail reject"},
		"K20 pct, rf, ri, fo, psd":     {dns: published{"_dmarc.example.org": {"v=DMARC1; pct=0; rf=iodef; ri=x; psd=u; fo=9; junk; p=quarantine"}}, want: "fail quarantine"},
		"K20 two records":              {dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject", "v=DMARC1; p=none"}}, want: "none ", none: true},
		"other records at the name":    {dns: published{"_dmarc.example.org": {"v=spf1 -all", "", "v=DMARC12; p=none", "v=DMARC1; p=reject"}}, want: "fail reject"},
		"version not first":            {dns: published{"_dmarc.example.org": {"p=reject; v=DMARC1"}}, want: "none ", none: true},
		"no p":                         {dns: published{"_dmarc.example.org": {"v=DMARC1; rua=mailto:a@b.example"}}, want: "fail none", none: true},
		"unknown p":                    {dns: published{"_dmarc.example.org": {"v=DMARC1; p=later"}}, want: "fail none", none: true},
		"below, from the organisation": {author: "a.b.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"below, nothing in between":    {author: "a.b.example.org", dns: published{"_dmarc.b.example.org": {"v=DMARC1; p=reject"}}, want: "none ", none: true},
		"below, its own":               {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none"}, "_dmarc.a.example.org": {"v=DMARC1; p=reject"}}, want: "fail reject"},
		"below, two of its own":        {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}, "_dmarc.a.example.org": {"v=DMARC1", "v=DMARC1"}}, want: "none ", none: true},
		"sp=none":                      {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject; sp=none"}}, want: "fail none", none: true},
		"sp=reject":                    {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=reject"}}, want: "fail reject"},
		"sp at the name itself":        {dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=reject"}}, want: "fail none", none: true},
		"K20 np, not there":            {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; sp=none; np=reject"}}, want: "fail reject"},
		"K20 np, there":                {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; np=reject"}, "a.example.org": {"x"}}, want: "fail none", none: true},
		"K20 np, who knows":            {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=none; np=reject"}}, fails: []string{"a.example.org"}, want: "temperror "},
		"np without difference":        {author: "a.example.org", dns: published{"_dmarc.example.org": {"v=DMARC1; p=reject; np=reject"}}, fails: []string{"a.example.org"}, want: "fail reject"},
		"of a public suffix":           {author: "example.co.uk", dns: published{"_dmarc.co.uk": {"v=DMARC1; p=reject"}}, want: "none ", none: true},
		"DNS fails":                    {fails: []string{"_dmarc.example.org"}, want: "temperror "},
		"DNS fails for the second":     {author: "a.example.org", fails: []string{"_dmarc.example.org"}, want: "temperror "},
		"DNS fails, none before":       {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": nil}, want: "temperror ", none: true},
		"DNS fails, p=none before":     {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": {"v=DMARC1; p=none"}}, want: "temperror ", none: true},
		"DNS fails, p=reject before":   {fails: []string{"_dmarc.example.org"}, last: published{"_dmarc.example.org": {"v=DMARC1; p=reject"}}, want: "temperror "},
		"DNS fails, half known":        {author: "a.example.org", fails: []string{"_dmarc.a.example.org"}, last: published{"_dmarc.a.example.org": nil}, want: "temperror "},
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
			if len(z.asked) > 2 {
				t.Errorf("asked %q", z.asked)
			}
		})
	}
}
