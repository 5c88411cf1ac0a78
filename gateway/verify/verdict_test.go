package verify

import (
	"encoding/json"
	"strings"
	"testing"
)

// from changes the From line of a mail before it is signed.
func from(value string) string {
	return strings.Replace(plainMail, "Joe <joe@example.org>", value, 1)
}

func TestVerdict(t *testing.T) {
	const policyName = "_dmarc.example.org"
	reject := []string{"v=DMARC1; p=reject"}
	someoneElse := forgery{d: "mailer.example"}
	agent := func(key string) bool { return key == "joe@example.org" }
	for name, c := range map[string]struct {
		raw    string
		policy []string
		fails  []string
		known  func(string) bool
		want   string
	}{
		"unsigned, no policy":                      {raw: plainMail, want: "unverified"},
		"unsigned, p=none":                         {raw: plainMail, policy: []string{"v=DMARC1; p=none"}, want: "unverified"},
		"T02 unsigned, p=reject":                   {raw: plainMail, policy: reject, want: "failed"},
		"unsigned, p=quarantine":                   {raw: plainMail, policy: []string{"v=DMARC1;p=quarantine"}, want: "failed"},
		"unsigned, an agent's address":             {raw: plainMail, known: agent, want: "failed"},
		"signed, an agent's address":               {raw: forgery{}.signed(t, plainMail), known: agent, want: "verified"},
		"another's signature":                      {raw: someoneElse.signed(t, plainMail), want: "unverified"},
		"another's signature, an agent's address":  {raw: someoneElse.signed(t, plainMail), known: agent, want: "failed"},
		"another's signature, p=reject":            {raw: someoneElse.signed(t, plainMail), policy: reject, want: "failed"},
		"broken signature, p=reject":               {raw: forgery{breakValue: true}.signed(t, plainMail), policy: reject, want: "failed"},
		"broken signature, no policy":              {raw: forgery{breakValue: true}.signed(t, plainMail), want: "unverified"},
		"K03 length, p=reject":                     {raw: forgery{extra: "; l=0"}.signed(t, plainMail), policy: reject, want: "failed"},
		"signed, p=reject":                         {raw: forgery{}.signed(t, plainMail), policy: reject, want: "verified"},
		"key fails":                                {raw: forgery{}.signed(t, plainMail), fails: []string{"sel._domainkey.example.org"}, want: "error"},
		"key fails, p=reject":                      {raw: forgery{}.signed(t, plainMail), policy: reject, fails: []string{"sel._domainkey.example.org"}, want: "error"},
		"key fails, an agent's address":            {raw: forgery{}.signed(t, plainMail), known: agent, fails: []string{"sel._domainkey.example.org"}, want: "error"},
		"another's key fails":                      {raw: someoneElse.signed(t, plainMail), fails: []string{"sel._domainkey.mailer.example"}, want: "unverified"},
		"another's key fails, p=reject":            {raw: someoneElse.signed(t, plainMail), policy: reject, fails: []string{"sel._domainkey.mailer.example"}, want: "failed"},
		"policy fails, unsigned":                   {raw: plainMail, fails: []string{policyName}, want: "error"},
		"policy fails, unsigned, agent's address":  {raw: plainMail, fails: []string{policyName}, known: agent, want: "failed"},
		"policy fails, signed by the very domain":  {raw: forgery{}.signed(t, plainMail), fails: []string{policyName}, want: "verified"},
		"policy fails, signed by its organisation": {raw: forgery{}.signed(t, from("joe@sub.example.org")), fails: []string{"_dmarc.sub.example.org"}, want: "error"},
		"K08 one key fails, the other passes": {
			raw:   forgery{}.field(t, plainMail) + forgery{s: "ed", key: ed25519Key()}.signed(t, plainMail),
			fails: []string{"sel._domainkey.example.org"}, want: "verified",
		},

		"relaxed below":                                    {raw: forgery{}.signed(t, from("joe@sub.example.org")), want: "verified"},
		"relaxed above":                                    {raw: forgery{d: "example.org", i: "@sub.example.org"}.signed(t, plainMail), want: "verified"},
		"adkim=s, the very domain":                         {raw: forgery{}.signed(t, plainMail), policy: []string{"v=DMARC1; p=none; adkim=s"}, want: "verified"},
		"adkim=s, below":                                   {raw: forgery{}.signed(t, from("joe@sub.example.org")), policy: []string{"v=DMARC1; p=none; adkim=s"}, want: "unverified"},
		"adkim=s, below, p=reject":                         {raw: forgery{}.signed(t, from("joe@sub.example.org")), policy: []string{"v=DMARC1; p=reject; adkim=S"}, want: "failed"},
		"K16 case":                                         {raw: forgery{}.signed(t, from("<U@EXAMPLE.Org>")), want: "verified"},
		"K16 final dot":                                    {raw: forgery{}.signed(t, from("<u@example.org.>")), want: "verified"},
		"K16 look-alike":                                   {raw: forgery{}.signed(t, from("<u@exаmple.org>")), want: "unverified"},
		"T14 legit.com in the quotes":                      {raw: forgery{}.signed(t, from(`<"a@example.org"@attack.example>`)), want: "unverified"},
		"T13 NFD in From":                                  {raw: forgery{d: "xn--mller-kva.example"}.signed(t, from("joe@mu\u0308ller.example")), want: "verified"},
		"T14 signed by what is behind the quotes":          {raw: forgery{d: "attack.example"}.signed(t, from(`<"a@example.org"@attack.example>`)), want: "verified"},
		"T14 an agent's address in the quotes":             {raw: forgery{d: "attack.example"}.signed(t, from(`<"joe@example.org"@attack.example>`)), known: agent, want: "verified"},
		"T15 a route":                                      {raw: forgery{}.signed(t, from("<@example.org:joe@evil.example>")), want: "unverified"},
		"T15 a route, signed by its end":                   {raw: forgery{d: "evil.example"}.signed(t, from("<@example.org:joe@evil.example>")), want: "unverified"},
		"T15 an encoded address":                           {raw: forgery{}.signed(t, from("=?utf-8?b?am9lQGV4YW1wbGUub3Jn?=")), want: "unverified"},
		"T15 an encoded address before the at":             {raw: forgery{d: "evil.example"}.signed(t, from("=?utf-8?b?am9lQGV4YW1wbGUub3Jn?=@evil.example")), want: "unverified"},
		"T15 a comment":                                    {raw: forgery{}.signed(t, from("joe@example.org (x@evil.example)")), want: "verified"},
		"T18 NUL in From":                                  {raw: forgery{}.signed(t, from("<joe@example.org\x00.evil.example>")), want: "unverified"},
		"T18 an encoded line end in From":                  {raw: forgery{}.signed(t, from("<=?utf-8?q?joe=0D=0A?=@example.org>")), want: "unverified"},
		"T21 an address in the name":                       {raw: forgery{d: "evil.example"}.signed(t, from(`"joe@example.org" <x@evil.example>`)), known: agent, policy: reject, want: "verified"},
		"T21 an address in the name, signed by its domain": {raw: forgery{}.signed(t, from(`"joe@example.org" <x@evil.example>`)), want: "unverified"},
		"T22 hidden characters in From":                    {raw: forgery{}.signed(t, from("<joe@example\u200b.org>")), want: "unverified"},
		"T30 a look-alike signs for itself":                {raw: forgery{d: "xn--exmple-cua.org"}.signed(t, from("joe@example.org")), want: "unverified"},
		"T17 no From":                                      {raw: strings.Replace(plainMail, "From: Joe <joe@example.org>\r\n", "", 1), want: "unverified"},
		"T17 empty From":                                   {raw: forgery{}.signed(t, from("")), want: "unverified"},
		"T19 two From":                                     {raw: "From: boss@example.org\r\n" + forgery{}.signed(t, plainMail), policy: reject, want: "failed"},
		"T19 two From, one an agent's":                     {raw: "From: boss@example.org\r\n" + forgery{}.signed(t, plainMail), known: agent, want: "failed"},
		"T19 From with a blank":                            {raw: "From : boss@example.org\r\n" + forgery{h: "from:subject"}.signed(t, plainMail), want: "unverified"},
		"T19 From behind odd lines":                        {raw: "From: boss@example.org\r\nodd\r\nodd\r\n" + forgery{}.signed(t, plainMail), want: "unverified"},
		"T20 two addresses":                                {raw: forgery{}.signed(t, from("joe@example.org, x@evil.example")), want: "unverified"},
		"T20 two of one domain":                            {raw: forgery{}.signed(t, from("joe@example.org, jim@example.org")), want: "unverified"},
		"T15 a group":                                      {raw: forgery{}.signed(t, from("us: joe@example.org;")), want: "unverified"},
		"T16 Sender":                                       {raw: "Sender: x@evil.example\r\n" + forgery{d: "evil.example"}.signed(t, plainMail), want: "unverified"},
		"K03 repeated, not covered":                        {raw: "Reply-To: a@b.example\r\nReply-To: c@d.example\r\n" + forgery{}.signed(t, plainMail), want: "unverified"},
		"address literal":                                  {raw: forgery{}.signed(t, from("joe@[192.0.2.1]")), want: "unverified"},
	} {
		t.Run(name, func(t *testing.T) {
			z := usualZone().fails(c.fails...)
			for _, d := range []string{"mailer.example", "evil.example", "attack.example", "xn--mller-kva.example", "xn--exmple-cua.org"} {
				z.with("sel._domainkey."+d, keyRecord(rsaKey()))
			}
			if c.policy != nil {
				z.with(policyName, c.policy...)
			}
			a := verifyKnown(t, z, c.raw, c.known)
			wantVerdict(t, a, c.want)
			if a.AlignedPass && !strings.Contains(results(a), "pass") {
				t.Error("AlignedPass without a pass")
			}
		})
	}
}

func TestAlignment(t *testing.T) {
	for name, c := range map[string]struct {
		signer, author string
		want           alignment
	}{
		"same":                  {"example.org", "example.org", alignStrict},
		"below":                 {"mail.example.org", "example.org", alignRelaxed},
		"above":                 {"example.org", "a.b.example.org", alignRelaxed},
		"sisters":               {"a.example.org", "b.example.org", alignRelaxed},
		"end of a name":         {"ample.org", "example.org", alignNone},
		"K11 d=com":             {"com", "example.com", alignNone},
		"K11 d=com, From com":   {"com", "com", alignNone},
		"K11 d=co.uk":           {"co.uk", "example.co.uk", alignNone},
		"K11 d=github.io":       {"github.io", "a.github.io", alignNone},
		"K11 two users":         {"a.github.io", "b.github.io", alignNone},
		"K11 third party":       {"mailer.example", "example.org", alignNone},
		"no author":             {"example.org", "", alignNone},
		"a domain of no suffix": {"desk.internal", "mail.desk.internal", alignRelaxed},
	} {
		if got := align(c.signer, c.author); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// K16: U-labels and A-labels of one domain are equal, in From and in d=.
func TestInternationalDomains(t *testing.T) {
	for _, pair := range [][2]string{
		{"bücher.example", "xn--bcher-kva.example"},
		{"xn--bcher-kva.example", "bücher.example"},
		{"BÜCHER.example", "XN--BCHER-KVA.Example"},
	} {
		z := usualZone().with("sel._domainkey.xn--bcher-kva.example", keyRecord(rsaKey()))
		a := verifyMail(t, z, forgery{d: pair[0]}.signed(t, from("joe@"+pair[1])))
		wantVerdict(t, a, "verified")
		if got := a.DKIM[0].Domain; got != "xn--bcher-kva.example" {
			t.Errorf("domain: %q", got)
		}
	}
}

func TestTrusts(t *testing.T) {
	const agent = "joe@example.org"
	usual := "From To Subject Date Message-ID References"
	for name, c := range map[string]struct {
		raw     string
		policy  string
		fails   string
		last    []string // what was last seen of the policy; nil: nothing
		known   bool
		top     string // above the mail
		verdict string
		trusts  string
		not     string
	}{
		"unsigned":                             {raw: plainMail, verdict: "unverified", trusts: usual + " Reply-To"},
		"K12 unsigned, an agent's":             {raw: plainMail, known: true, verdict: "failed", trusts: "Reply-To"},
		"signed, no policy":                    {raw: forgery{}.signed(t, plainMail), verdict: "verified", trusts: usual + " Reply-To Cc In-Reply-To"},
		"signed, p=none":                       {raw: forgery{}.signed(t, plainMail), policy: "p=none", verdict: "verified", trusts: "In-Reply-To"},
		"K12 signed, p=reject":                 {raw: forgery{}.signed(t, plainMail), policy: "p=reject", verdict: "verified", trusts: usual, not: "Reply-To Cc In-Reply-To Sender"},
		"K12 signed, p=quarantine":             {raw: forgery{}.signed(t, plainMail), policy: "p=quarantine", verdict: "verified", trusts: usual, not: "Reply-To"},
		"K12 signed, an agent's":               {raw: forgery{}.signed(t, plainMail), known: true, verdict: "verified", trusts: usual, not: "Reply-To"},
		"K12 signed, policy fails":             {raw: forgery{}.signed(t, plainMail), fails: "_dmarc.example.org", verdict: "verified", trusts: usual, not: "Reply-To"},
		"K12 signed, policy fails, none known": {raw: forgery{}.signed(t, plainMail), fails: "_dmarc.example.org", last: []string{}, verdict: "verified", trusts: "Reply-To"},
		"K03 Subject not signed":               {raw: forgery{h: "from:date"}.signed(t, plainMail), policy: "p=reject", verdict: "verified", trusts: "From", not: "Subject"},
		"K03 Subject twice":                    {raw: "Subject: [T#1]\r\n" + forgery{h: "from"}.signed(t, plainMail), policy: "p=reject", verdict: "unverified", trusts: "From", not: "Subject"},
		"two signatures cover it in part": {
			raw:    forgery{h: "from:subject"}.field(t, plainMail) + forgery{s: "ed", key: ed25519Key(), h: "from:to"}.signed(t, plainMail),
			policy: "p=reject", verdict: "verified", trusts: "To Subject", not: "Cc",
		},
		"another's signature covers nothing": {
			raw:    forgery{d: "mailer.example", h: "from:cc"}.field(t, plainMail) + forgery{h: "from:to"}.signed(t, plainMail),
			policy: "p=reject", verdict: "verified", trusts: "To", not: "Cc",
		},
		"a trusted server vouches": {
			raw: forgery{}.signed(t, plainMail), policy: "p=reject", verdict: "verified", trusts: "Reply-To",
			top: "Authentication-Results: mx.example; dmarc=pass header.from=example.org\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			z := usualZone().with("sel._domainkey.mailer.example", keyRecord(rsaKey())).fails(c.fails)
			if c.policy != "" {
				z.with("_dmarc.example.org", "v=DMARC1; "+c.policy)
			}
			if c.last != nil {
				z.last["_dmarc.example.org"], z.last["_dmarc.org"] = c.last, nil
			}
			a := verifyKnown(t, z, c.top+c.raw, func(key string) bool { return c.known && key == agent },
				func(o *Options) { o.TrustedAuthserv = []string{"mx.example"} })
			wantVerdict(t, a, c.verdict)
			for field := range strings.FieldsSeq(c.trusts) {
				if !a.Trusts(field) {
					t.Errorf("%s is not trusted", field)
				}
			}
			for field := range strings.FieldsSeq(c.not) {
				if a.Trusts(field) {
					t.Errorf("%s is trusted", field)
				}
			}
		})
	}
}

// The JSON is the contract's, whatever else an Auth holds.
func TestJSON(t *testing.T) {
	a := verifyMail(t, usualZone(), forgery{}.signed(t, plainMail))
	got, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"dkim":[{"domain":"example.org","selector":"sel","algorithm":"rsa-sha256","result":"pass","reason":""}],` +
		`"dmarc":{"result":"none","policy":"","domain":"example.org"},"spf":null,"arc":null,"verdict":"verified"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got, _ = json.Marshal(verifyMail(t, usualZone(), plainMail))
	if !strings.HasPrefix(string(got), `{"dkim":[],`) {
		t.Errorf("an unsigned mail's list is no empty one: %s", got)
	}
}
