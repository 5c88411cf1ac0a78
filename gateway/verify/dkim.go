package verify

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"sync"
	"time"

	"ticketgate/store"
)

const signatureField = "dkim-signature"

// check is the outcome of one signature with what decisions need of it.
type check struct {
	store.DKIMResult
	alignment alignment
	unsure    bool     // whether it aligns hangs on a name that could not be looked up
	headers   []string // the names that it covers, for a pass
	value     []byte   // b=, decoded, for a pass
}

// signaturesOf reads the signatures of a mail and keeps at most limit of them,
// those aligned with the author's domain first, else top to bottom: junk piled
// on top must not push the one that counts out (RFC 6376, 8.4).
func signaturesOf(m *mail, author string, limit int) []signature {
	places := m.byName[signatureField]
	all := make([]signature, 0, len(places))
	for _, place := range places {
		s := readSignature(place, m.fields[place])
		if s.refused.result == "" || s.refused.result == resultPolicy {
			s.alignment = align(s.domain, author)
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b signature) int {
		return min(int(b.alignment), 1) - min(int(a.alignment), 1)
	})
	return all[:min(limit, len(all))]
}

// keyed is the key of a signature, or why there is none.
type keyed struct {
	key     publicKey
	refused refusal
}

// fetchKeys looks up the keys of all signatures that may still pass, at the
// same time.
func fetchKeys(ctx context.Context, dns Lookup, signatures []signature) []keyed {
	keys := make([]keyed, len(signatures))
	var wait sync.WaitGroup
	for i := range signatures {
		s := &signatures[i]
		if s.refused.result != "" {
			continue
		}
		fetch := func() { keys[i].key, keys[i].refused = fetchKey(ctx, dns, s.keyName()) }
		if i == len(signatures)-1 {
			fetch() // the last, mostly the only one, needs no goroutine
			continue
		}
		wait.Go(fetch)
	}
	wait.Wait()
	return keys
}

// checker checks the signatures of one mail. It isn't safe for concurrent use.
type checker struct {
	mail *mail
	body *bodyHasher
	buf  []byte
}

// check tells whether s is a pass under key; it fails with ctx only, as a
// temporary error.
func (c *checker) check(ctx context.Context, s *signature, k *keyed) check {
	r := c.judge(ctx, s, k)
	out := check{alignment: s.alignment}
	out.Domain, out.Selector, out.Algorithm = s.domain, s.selector, s.algorithm
	out.Result, out.Reason = r.result, r.reason
	if r.result == resultPass {
		out.headers, out.value = s.headers, s.value
	}
	return out
}

func (c *checker) judge(ctx context.Context, s *signature, k *keyed) refusal {
	if r := k.usable(s); r.result != "" {
		return r
	}
	bodyHash, err := c.body.sum(ctx, s.relaxedBody)
	if err != nil {
		return outOfTime()
	}
	if subtle.ConstantTimeCompare(bodyHash, s.bodyHash) != 1 {
		return refusal{resultFail, "the body was changed"}
	}
	return k.key.judge(c.headerHash(s), s.value)
}

// usable refuses a signature that can't pass under the key, whatever was signed.
func (k *keyed) usable(s *signature) refusal {
	switch {
	case s.refused.result != "":
		return s.refused
	case k.refused.result != "":
		return k.refused
	}
	return k.key.allows(s)
}

// judge is the last step: does the key verify what was signed?
func (k *publicKey) judge(sum, value []byte) refusal {
	if !k.verifies(sum, value) {
		return refusal{resultFail, "the header was changed or the key is another one"}
	}
	if k.testing {
		// RFC 6376, 3.6.1: not to be treated differently from unsigned mail.
		return refusal{resultNeutral, "the domain is only testing"}
	}
	return refusal{resultPass, k.note()}
}

func outOfTime() refusal { return refusal{resultTempError, "no time was left to check it"} }

// headerHash is the hash that was signed (RFC 6376, 3.7): the named fields, for
// a repeated name from the lowest up, and the signature without its value.
func (c *checker) headerHash(s *signature) []byte {
	c.buf = c.buf[:0]
	used := make(map[string]int, len(s.headers))
	for _, name := range s.headers {
		if place, ok := c.pick(name, used, s.place); ok {
			c.buf = canonicalHeader(s.relaxedHeader, c.buf, c.mail.fields[place].raw)
		}
	}
	c.buf = canonicalHeader(s.relaxedHeader, c.buf, s.bare)
	sum := sha256.Sum256(c.buf[:len(c.buf)-len(crlf)])
	return sum[:]
}

// pick gives the place of the next field of that name, never the signature's
// own. A field that isn't there adds nothing.
func (c *checker) pick(name string, used map[string]int, own int) (int, bool) {
	places := c.mail.byName[name]
	for used[name] < len(places) {
		used[name]++
		if place := places[len(places)-used[name]]; place != own {
			return place, true
		}
	}
	return 0, false
}

// screen refuses, before anything is looked up, what can't pass for reasons
// outside the signature itself.
func screen(signatures []signature, m *mail, now time.Time) {
	for i := range signatures {
		s := &signatures[i]
		if s.refused.result != "" {
			continue
		}
		if s.refused = s.timely(now); s.refused.result == "" {
			s.refused = s.single(m)
		}
	}
}
