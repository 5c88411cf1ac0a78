package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketgate/threading/message"
)

// The results of a signature (RFC 8601, 2.7.1).
const (
	resultNone      = "none"
	resultPass      = "pass"
	resultFail      = "fail"
	resultPolicy    = "policy"
	resultNeutral   = "neutral"
	resultTempError = "temperror"
	resultPermError = "permerror"
)

// clockSkew is how far in the future a signature's time may lie.
const clockSkew = 5 * time.Minute

// refusal is why something can't count as a pass. The reasons are constant
// texts: nothing that a mail says gets into them. The zero value is none.
type refusal struct {
	result string
	reason string
}

func malformed(reason string) refusal { return refusal{resultPermError, reason} }

// signature is one DKIM-Signature field, read (RFC 6376, 3.5), or one of the two
// signing fields of ARC.
type signature struct {
	place     int // of its field in the header
	domain    string
	selector  string
	algorithm string
	identity  string   // the domain of i=, or d=
	headers   []string // h=, in lower case
	bodyHash  []byte
	value     []byte // b=, decoded
	bare      []byte // the field with the value of b= taken out
	created   time.Time
	expires   time.Time

	relaxedHeader, relaxedBody bool
	alignment                  alignment
	refused                    refusal // it can't pass, whatever the key is
}

// readSignature reads the field at place. What is wrong with it stands in
// refused; domain and selector are as good as they could be had, to be shown.
func readSignature(place int, f field) signature {
	s, tags := openSignature(place, f)
	if s.refused.result == "" {
		s.refused = s.readTags(tags)
	}
	return s
}

// openSignature reads what the signatures of DKIM and of ARC have in common:
// whose they are, and the field that was signed.
func openSignature(place int, f field) (signature, tagList) {
	s := signature{place: place}
	if len(f.raw) > maxSignature {
		s.refused = malformed("a signature over 32 KiB")
		return s, tagList{}
	}
	tags, err := readTags(string(f.value()))
	domain, selector := squeeze(tags.get("d")), squeeze(tags.get("s"))
	s.algorithm = shown(strings.ToLower(squeeze(tags.get("a"))))

	var okDomain, okSelector bool
	s.domain, okDomain = hostName(domain)
	s.selector, okSelector = hostName(selector)
	switch {
	case err != "":
		s.refused = malformed(err)
	case !okDomain:
		s.refused = malformed("no signing domain that could be one")
	case !okSelector || !isHostName(s.keyName()):
		s.refused = malformed("no selector that could be one")
	}
	s.domain, s.selector = shown(s.domain), shown(s.selector)
	s.identity = s.domain
	s.bare = withoutValue(f.raw, tags)
	return s, tags
}

// shown makes what a mail claims fit to be stored and printed.
func shown(s string) string {
	if len(s) > 253 {
		s = s[:253]
	}
	return message.CleanLine(s)
}

// keyName is where the key is published (RFC 6376, 3.6.2.1).
func (s *signature) keyName() string { return s.selector + "._domainkey." + s.domain }

// readTags fills s from its tags; each step may refuse.
func (s *signature) readTags(tags tagList) refusal {
	if r := required(tags, "v", "a", "b", "bh", "d", "h", "s"); r.result != "" {
		return r
	}
	if tags.get("v") != "1" {
		return malformed("unknown version")
	}
	return firstRefusal(tags, s.readAlgorithm, s.readForm, s.readHeaders, s.readIdentity, s.readTimes, s.readBodyHash, s.readValue)
}

func required(tags tagList, names ...string) refusal {
	for _, name := range names {
		if !tags.has(name) {
			return malformed("a required tag is missing")
		}
	}
	return refusal{}
}

// firstRefusal takes the steps up to the first that refuses.
func firstRefusal(tags tagList, steps ...func(tagList) refusal) refusal {
	for _, step := range steps {
		if r := step(tags); r.result != "" {
			return r
		}
	}
	return refusal{}
}

func (s *signature) readAlgorithm(tags tagList) refusal {
	switch {
	case s.algorithm == "rsa-sha1":
		return malformed("SHA-1 is too weak") // RFC 8301, 3.1
	case s.algorithm != "rsa-sha256" && s.algorithm != "ed25519-sha256":
		return malformed("unknown algorithm")
	case tags.has("q") && !slices.Contains(splitList(tags.get("q")), "dns/txt"):
		return malformed("unknown way to look up the key")
	}
	return refusal{}
}

// readForm reads how header and body were made canonical.
func (s *signature) readForm(tags tagList) refusal {
	if tags.has("l") {
		// RFC 6376, 8.2: whatever is put behind the signed length passes too.
		return refusal{resultPolicy, "only a part of the body is signed"}
	}
	header, body, _ := strings.Cut(squeeze(tags.get("c")), "/")
	var okHeader, okBody bool
	s.relaxedHeader, okHeader = isRelaxed(header)
	s.relaxedBody, okBody = isRelaxed(body)
	if !okHeader || !okBody {
		return malformed("unknown canonicalisation")
	}
	return refusal{}
}

func isRelaxed(word string) (relaxed, known bool) {
	return word == "relaxed", word == "relaxed" || word == "simple" || word == ""
}

func (s *signature) readHeaders(tags tagList) refusal {
	s.headers = splitList(strings.ToLower(tags.get("h")))
	if !slices.Contains(s.headers, "from") {
		return malformed("From is not signed")
	}
	return refusal{}
}

// readIdentity checks that i= lies within d=, in whatever case and form each is
// written.
func (s *signature) readIdentity(tags tagList) refusal {
	if !tags.has("i") {
		return refusal{}
	}
	identity := squeeze(tags.get("i"))
	name, ok := hostName(identity[strings.LastIndexByte(identity, '@')+1:])
	if !ok || !strings.Contains(identity, "@") || !isWithin(name, s.domain) {
		return malformed("the identity is not within the signing domain")
	}
	s.identity = name
	return refusal{}
}

func (s *signature) readTimes(tags tagList) refusal {
	var okCreated, okExpires bool
	s.created, okCreated = readTime(tags, "t")
	s.expires, okExpires = readTime(tags, "x")
	switch {
	case !okCreated || !okExpires:
		return malformed("a time that is no number")
	case !s.created.IsZero() && !s.expires.IsZero() && !s.expires.After(s.created):
		return malformed("it expires before it was made")
	}
	return refusal{}
}

func readTime(tags tagList, name string) (time.Time, bool) {
	if !tags.has(name) {
		return time.Time{}, true
	}
	text := squeeze(tags.get(name))
	seconds, err := strconv.ParseInt(text, 10, 64)
	// RFC 6376, 3.5: up to 12 digits must be taken.
	if err != nil || !isDigits(text) || len(text) > 12 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

func (s *signature) readBodyHash(tags tagList) refusal {
	var err error
	s.bodyHash, err = base64.StdEncoding.DecodeString(squeeze(tags.get("bh")))
	if err != nil || len(s.bodyHash) != sha256.Size {
		return malformed("a hash that is no base64 of its length")
	}
	return refusal{}
}

func (s *signature) readValue(tags tagList) refusal {
	var err error
	s.value, err = base64.StdEncoding.DecodeString(squeeze(tags.get("b")))
	if err != nil || len(s.value) == 0 {
		return malformed("a signature that is no base64")
	}
	return refusal{}
}

// timely refuses a signature outside its time, seen from now.
func (s *signature) timely(now time.Time) refusal {
	switch {
	case !s.expires.IsZero() && now.After(s.expires):
		return malformed("it has expired")
	case s.created.After(now.Add(clockSkew)):
		return refusal{resultNeutral, "it was made in the future"}
	}
	return refusal{}
}

// single refuses a signature that covers a field which may stand only once and
// stands more often: a reader may be shown the one that was not signed
// (RFC 6376, 8.15).
func (s *signature) single(m *mail) refusal {
	for _, name := range s.headers {
		if len(m.byName[name]) > 1 && isSingular(name) {
			return refusal{resultPolicy, "a signed field stands twice"}
		}
	}
	return refusal{}
}

// withoutValue is the field's octets with the value of b= taken out, blanks
// around it too (RFC 6376, 3.7).
func withoutValue(raw []byte, tags tagList) []byte {
	b, ok := tags.find("b")
	if !ok {
		return raw
	}
	colon := strings.IndexByte(string(raw), ':') + 1
	return slices.Concat(raw[:colon+b.start], raw[colon+b.end:])
}
