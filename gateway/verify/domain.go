package verify

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"ticketgate/threading/message"
)

// hostName gives a domain of a mail in the form that is compared and asked for:
// lower-case A-labels without a final dot. ok is false for what is no host name,
// such as an address literal.
func hostName(s string) (name string, ok bool) {
	name = message.DomainKey(s)
	return name, isHostName(name)
}

// organisation is the organisational domain of a host name, by the public
// suffix list; "" for a public suffix, which is nobody's.
func organisation(name string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return org
}

// suffixAbove is the public suffix that a host name lies below; "" where the
// list has none and only guesses, since nobody registers names there.
func suffixAbove(name string) string {
	suffix, listed := publicsuffix.PublicSuffix(name)
	if suffix == name || !listed && !strings.Contains(suffix, ".") {
		return ""
	}
	return suffix
}

// alignment says how a signing domain relates to the domain in From
// (RFC 9989, 4.4). A public suffix is aligned with nothing.
type alignment int

const (
	alignNone    alignment = iota
	alignRelaxed           // the same organisation
	alignStrict            // the very same domain
)

func align(signer, author string) alignment {
	org := organisation(signer)
	switch {
	case org == "" || author == "" || org != organisation(author):
		return alignNone
	case signer == author:
		return alignStrict
	}
	return alignRelaxed
}

// isWithin tells that name is domain or lies below it.
func isWithin(name, domain string) bool {
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}
