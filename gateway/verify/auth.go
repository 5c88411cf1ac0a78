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

	// covered are the fields under passing, aligned signatures; rests tells that
	// the mail would have fewer rights without those.
	covered []string
	rests   bool
}

// Trusts tells whether a field may be trusted as far as the verdict goes: a
// signature that passes and aligns covers it, or nothing rests on one. The
// latter also holds for a mail that would be no less without its signature: who
// could take the signature off and change the field gains nothing by leaving it
// on.
func (a Auth) Trusts(field string) bool {
	return !a.rests || slices.Contains(a.covered, strings.ToLower(field))
}

// facts are all that the verdict is made of.
type facts struct {
	author   string  // host name of the one plain From mailbox, or ""
	claimed  string  // author, or what a From claims that is no single mailbox
	known    bool    // an address in From is an agent's or an account's
	repeated bool    // a field that may stand only once stands twice
	checks   []check // of the signatures
	policy   policy
	trusted  trusted
	sealed   sealed
	replayed bool // an aligned signature passes and came to too many
}

// narrow takes the alignment back that the public suffix list gave and DNS
// denies. Only who passes is looked up, and only where it matters.
func (f *facts) narrow(w *walker) {
	if f.policy.exact || f.policy.failed {
		return
	}
	for i := range f.checks {
		c := &f.checks[i]
		if c.Result != resultPass || c.alignment != alignRelaxed {
			continue
		}
		same, err := w.sameOrganisation(c.Domain, f.author)
		c.unsure = isTemporary(err)
		if !same && !c.unsure {
			c.alignment = alignNone
		}
	}
}

// aligned tells whether a signature of this alignment counts for the author, by
// the policy as far as it is known.
func (f *facts) aligned(c check) bool {
	switch {
	case f.author == "" || c.unsure:
		return false
	case f.policy.exact || f.policy.failed && c.Result == resultPass:
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

// half tells that a signature passes whose alignment hangs on something that
// could not be looked up.
func (f *facts) half() bool {
	return slices.ContainsFunc(f.checks, func(c check) bool {
		return c.Result == resultPass && c.alignment != alignNone && (f.policy.failed || c.unsure)
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
	if f.sealed.result != nil {
		a.ARC = f.sealed.result
	}
	a.DMARC = f.dmarc()
	a.Verdict = f.verdict()
	a.Recheck = a.Verdict == store.AuthError
	a.rests = a.AlignedPass && !f.vouched() && f.weakUnsigned()
	return a
}

// vouched tells that a trusted server saw DMARC pass. Where a replayed signature
// passes, that is most likely what it saw.
func (f *facts) vouched() bool { return f.author != "" && f.trusted.dmarcPass && !f.replayed }

func (f *facts) verdict() store.Verdict {
	switch {
	case f.any(resultPass) || f.vouched():
		if f.repeated {
			return store.Unverified
		}
		return store.Verified
	case f.any(resultTempError) || f.half():
		return store.AuthError
	}
	return f.unsigned()
}

// unsigned is the verdict where no signature counts.
func (f *facts) unsigned() store.Verdict {
	switch {
	case f.known:
		return store.Failed
	case f.policy.failed:
		return store.AuthError
	case f.policy.refuses() && (f.replayed || !f.sealed.dmarcPass):
		return store.Failed
	}
	return store.Unverified
}

// weakUnsigned tells that without any signature the mail would have the rights
// of failed.
func (f *facts) weakUnsigned() bool {
	switch f.unsigned() {
	case store.Failed:
		return true
	case store.AuthError:
		return !f.policy.sayNone
	}
	return false
}

func (f *facts) dmarc() store.DMARCResult {
	out := store.DMARCResult{Result: resultNone, Domain: f.claimed}
	if f.policy.found {
		out.Policy = f.policy.wish
	}
	switch {
	case f.claimed == "":
	case f.vouched(), f.policy.found && f.any(resultPass):
		out.Result = resultPass
	case f.policy.failed, f.policy.found && (f.any(resultTempError) || f.half()):
		out.Result = resultTempError
	case f.policy.found:
		out.Result = resultFail
	}
	return out
}
