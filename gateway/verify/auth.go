package verify

import (
	"slices"
	"strings"

	"ticketgate/store"
)

// Auth is what could be told about who wrote a mail. The embedded part is what
// is stored and shown; the rest is for the decisions about this mail.
type Auth struct {
	store.Auth

	// SignedTag tells that the subject may give a tag: it stands once, and where
	// a signature made the mail verified it covers the subject.
	SignedTag bool `json:"-"`
	// PolicyKnownNone tells that the From domain publishes no policy against
	// mail that doesn't align (by what was last seen, where DNS fails now). An
	// error then has the rights of unverified, else those of failed.
	PolicyKnownNone bool `json:"-"`
	// Recheck tells that DNS failed and that the verdict must be looked up again.
	Recheck bool `json:"-"`
	// AlignedPass tells that one of the signatures itself passes and aligns: what
	// a channel with require_dkim demands.
	AlignedPass bool `json:"-"`
	// Repeated tells that a field which may stand only once stands twice.
	Repeated bool `json:"-"`

	covered []string
	byDKIM  bool
}

// Covers tells whether a field may be trusted as far as the verdict goes: it is
// covered by a signature that passes and aligns, or nothing rests on one.
func (a Auth) Covers(name string) bool {
	return !a.byDKIM || slices.Contains(a.covered, strings.ToLower(name))
}

// facts are all that the verdict is made of.
type facts struct {
	author   string  // host name of the one plain From mailbox, or ""
	known    bool    // an address in From is an agent's or an account's
	repeated bool    // a field that may stand only once stands twice
	subjects int     // how many Subject fields there are
	checks   []check // of the signatures
	policy   policy
	trusted  trusted
}

// aligned tells whether a signature of this alignment counts for the author, by
// the policy as far as it is known.
func (f *facts) aligned(c check) bool {
	if f.author == "" {
		return false
	}
	if f.policy.exact || f.policy.failed && c.Result == resultPass {
		return c.alignment == alignStrict
	}
	return c.alignment != alignNone
}

// any tells whether an aligned signature has the result.
func (f *facts) any(result string) bool {
	return slices.ContainsFunc(f.checks, func(c check) bool {
		return c.Result == result && f.aligned(c)
	})
}

// half tells that a signature passes whose alignment hangs on a policy that
// could not be looked up.
func (f *facts) half() bool {
	return f.policy.failed && slices.ContainsFunc(f.checks, func(c check) bool {
		return c.Result == resultPass && c.alignment != alignNone
	})
}

// decide makes the outcome of the facts (contract: who wrote it).
func (f *facts) decide() Auth {
	a := Auth{
		PolicyKnownNone: f.policy.sayNone,
		Repeated:        f.repeated,
		AlignedPass:     f.any(resultPass),
	}
	a.DKIM = make([]store.DKIMResult, 0, len(f.checks))
	for _, c := range f.checks {
		a.DKIM = append(a.DKIM, c.DKIMResult)
		if c.Result == resultPass && f.aligned(c) {
			a.covered = append(a.covered, c.headers...)
		}
	}
	a.SPF, a.ARC = f.trusted.spf, f.trusted.arc
	a.DMARC = f.dmarc()
	a.Verdict = f.verdict()
	a.Recheck = a.Verdict == store.AuthError
	a.byDKIM = a.Verdict == store.Verified && !f.trusted.dmarcPass
	a.SignedTag = f.subjects == 1 && a.Covers("subject")
	return a
}

func (f *facts) verdict() store.Verdict {
	switch {
	case f.any(resultPass) || f.author != "" && f.trusted.dmarcPass:
		if f.repeated {
			return store.Unverified
		}
		return store.Verified
	case f.any(resultTempError) || f.half():
		return store.AuthError
	case f.known:
		return store.Failed
	case f.policy.failed:
		return store.AuthError
	case f.policy.refuses():
		return store.Failed
	}
	return store.Unverified
}

func (f *facts) dmarc() store.DMARCResult {
	out := store.DMARCResult{Result: resultNone, Domain: f.author}
	if f.policy.found {
		out.Policy = f.policy.wish
	}
	switch {
	case f.author == "":
	case f.trusted.dmarcPass, f.policy.found && f.any(resultPass):
		out.Result = resultPass
	case f.policy.failed, f.policy.found && f.any(resultTempError):
		out.Result = resultTempError
	case f.policy.found:
		out.Result = resultFail
	}
	return out
}
