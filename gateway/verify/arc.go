package verify

import (
	"context"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketgate/store"
)

// The fields of an ARC set (RFC 8617, 4.1).
const (
	arcSealField      = "arc-seal"
	arcSignatureField = "arc-message-signature"
	arcResultsField   = "arc-authentication-results"
)

// maxInstances is the length of the longest chain (RFC 8617, 4.2.1).
const maxInstances = 50

// sealed is what the servers that handed a mail on say of it; zero where we
// trust none of them.
type sealed struct {
	result    *store.MethodResult
	dmarcPass bool // for the author's domain, by one whom we believe that far
}

// arcSet is what one server added.
type arcSet struct {
	seal, message signature
	status        string // cv=: what it found of the sets before its own
	report        field
	complete      [3]bool // which of the three fields are there
}

// checkChain verifies the chain of a mail (RFC 8617, 5.2) whose newest sealer is
// trusted; anybody else's says nothing. Of the message signatures the newest one
// must pass, of the seals all. The newest set is checked first, so that a forged
// one costs a question or two, not one for each set.
func (v *Verifier) checkChain(ctx context.Context, m *mail, body *bodyHasher, author string, received time.Time) sealed {
	if len(v.sealers) == 0 || len(m.byName[arcSealField]) == 0 {
		return sealed{}
	}
	sealer := newestSealer(m)
	if !slices.Contains(v.sealers, sealer) {
		return sealed{}
	}
	out := sealed{result: &store.MethodResult{Result: resultFail, Domain: sealer}}
	sets, ok := readChain(m, received)
	if !ok {
		return out
	}
	out.result.Result = v.checkSets(ctx, m, body, sets)
	out.dmarcPass = out.result.Result == resultPass && v.vouch(sets, author)
	return out
}

// newestSealer is the domain of the seal with the highest instance, however
// broken the chain is; "" when no seal can be read.
func newestSealer(m *mail) string {
	newest, sealer := 0, ""
	for _, place := range m.byName[arcSealField] {
		s, tags := openSignature(place, m.fields[place])
		if n, ok := readInstance(squeeze(tags.get("i"))); ok && n > newest && s.refused.result == "" {
			newest, sealer = n, s.domain
		}
	}
	return sealer
}

func readInstance(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && isDigits(text) && n > 0
}

// readChain reads the sets of a chain, the oldest first. ok is false when the
// chain is broken by its form: an instance that is missing, stands twice or is
// out of bounds, a seal that can't pass or that says the chain failed before it.
func readChain(m *mail, received time.Time) (sets []arcSet, ok bool) {
	n := len(m.byName[arcSealField])
	if n == 0 || n > maxInstances || len(m.byName[arcSignatureField]) != n || len(m.byName[arcResultsField]) != n {
		return nil, false
	}
	sets = make([]arcSet, n)
	for part, name := range [...]string{arcSealField, arcSignatureField, arcResultsField} {
		for _, place := range m.byName[name] {
			i, ok := readSetField(sets, part, m, place)
			if !ok || sets[i].complete[part] {
				return nil, false
			}
			sets[i].complete[part] = true
		}
	}
	for i := range sets {
		s := &sets[i].seal
		if s.refused.result != "" || s.timely(received).result != "" || sets[i].status != expectedStatus(i) {
			return nil, false
		}
	}
	newest := &sets[n-1].message
	if newest.refused.result == "" {
		newest.refused = newest.timely(received)
	}
	if newest.refused.result == "" {
		newest.refused = newest.single(m)
	}
	return sets, newest.refused.result == ""
}

func expectedStatus(place int) string {
	if place == 0 {
		return resultNone
	}
	return resultPass
}

// readSetField reads one field into the set that it belongs to.
func readSetField(sets []arcSet, part int, m *mail, place int) (index int, ok bool) {
	f := m.fields[place]
	if part == 2 {
		instance, _, ok := cutInstance(string(f.value()))
		if ok = ok && instance <= len(sets); ok {
			sets[instance-1].report = f
		}
		return instance - 1, ok
	}
	s, tags := openSignature(place, f)
	instance, ok := readInstance(squeeze(tags.get("i")))
	if !ok || instance > len(sets) {
		return 0, false
	}
	set := &sets[instance-1]
	if part == 0 {
		set.seal, set.status = s.asSeal(tags), strings.ToLower(squeeze(tags.get("cv")))
	} else {
		set.message = s.asMessageSignature(tags)
	}
	return instance - 1, true
}

// asSeal reads the rest of an ARC-Seal (RFC 8617, 4.1.3).
func (s signature) asSeal(tags tagList) signature {
	if s.refused.result == "" {
		s.refused = required(tags, "a", "b", "cv", "d", "i", "s")
	}
	if s.refused.result == "" && tags.has("h") {
		s.refused = malformed("a seal that names fields")
	}
	if s.refused.result == "" {
		s.refused = firstRefusal(tags, s.readAlgorithm, s.readTimes, s.readValue)
	}
	s.relaxedHeader = true
	return s
}

// asMessageSignature reads the rest of an ARC-Message-Signature (RFC 8617,
// 4.1.2): DKIM's without version and identity.
func (s signature) asMessageSignature(tags tagList) signature {
	if s.refused.result == "" {
		s.refused = required(tags, "a", "b", "bh", "d", "h", "i", "s")
	}
	if s.refused.result == "" {
		s.refused = firstRefusal(tags, s.readAlgorithm, s.readForm, s.readHeaders, s.readTimes, s.readBodyHash, s.readValue)
	}
	if s.refused.result == "" && slices.Contains(s.headers, arcSealField) {
		s.refused = malformed("a seal is signed by what it seals")
	}
	return s
}

// cutInstance splits an ARC-Authentication-Results value into its instance and
// what it shares with Authentication-Results (RFC 8617, 4.1.1).
func cutInstance(value string) (instance int, report string, ok bool) {
	p := reportReader{s: value}
	if !p.skip() {
		return 0, "", false
	}
	name, number, ok := p.pair()
	if !ok || !strings.EqualFold(name, "i") || !p.skip() || !p.take(';') {
		return 0, "", false
	}
	instance, ok = readInstance(number)
	return instance, value[p.i:], ok
}

// checkSets computes the chain: pass, fail, or temperror where a key could not
// be looked up or no time was left.
func (v *Verifier) checkSets(ctx context.Context, m *mail, body *bodyHasher, sets []arcSet) string {
	newest := &sets[len(sets)-1]
	sums := sealSums(m, sets)

	signed := []signature{newest.message, newest.seal}
	keys := fetchKeys(ctx, v.opt.Resolver, signed)
	if v.begin(ctx, keys) {
		defer v.end()
	}
	c := checker{mail: m, body: body}
	result := worse(c.judge(ctx, &signed[0], &keys[0]).result, judgeSeal(&signed[1], &keys[1], sums[len(sets)-1]))
	if result != resultPass {
		return result
	}
	return v.checkSeals(ctx, sets[:len(sets)-1], sums)
}

// checkSeals checks the older seals. The newest one covers them, so they stand
// as a server that we trust had them.
func (v *Verifier) checkSeals(ctx context.Context, sets []arcSet, sums [][]byte) string {
	seals := make([]signature, 0, len(sets))
	for i := range sets {
		seals = append(seals, sets[i].seal)
	}
	result := resultPass
	keys := fetchKeys(ctx, v.opt.Resolver, seals)
	for i := range seals {
		result = worse(result, judgeSeal(&seals[i], &keys[i], sums[i]))
	}
	return result
}

// judgeSeal tells whether a seal passes. One of a domain that is only testing
// seals nothing.
func judgeSeal(s *signature, k *keyed, sum []byte) string {
	if r := k.usable(s); r.result != "" {
		return r.result
	}
	return k.key.judge(sum, s.value).result
}

// worse sums two results up: only what passes is a pass, and what is broken for
// certain is not looked up again.
func worse(a, b string) string {
	switch {
	case a == resultPass && b == resultPass:
		return resultPass
	case (a == resultPass || a == resultTempError) && (b == resultPass || b == resultTempError):
		return resultTempError
	}
	return resultFail
}

// sealSums are the hashes that the seals sign (RFC 8617, 5.1.1): the sets up to
// their own, each as results, message signature and seal, relaxed, the last seal
// without its value.
func sealSums(m *mail, sets []arcSet) [][]byte {
	sums := make([][]byte, len(sets))
	chain := sha256.New()
	var buf []byte
	for i := range sets {
		set := &sets[i]
		buf = relaxedHeader(buf[:0], set.report.raw)
		buf = relaxedHeader(buf, m.fields[set.message.place].raw)
		chain.Write(buf)
		sums[i] = lastSum(chain, set.seal.bare)
		chain.Write(relaxedHeader(buf[:0], m.fields[set.seal.place].raw))
	}
	return sums
}

// lastSum ends a copy of the hash with a field that no line end follows.
func lastSum(chain hash.Hash, bare []byte) []byte {
	last, err := chain.(hash.Cloner).Clone()
	if err != nil {
		return nil // SHA-256 of the library can be copied; a wrong sum verifies nothing
	}
	end := relaxedHeader(nil, bare)
	last.Write(end[:len(end)-len(crlf)])
	return last.Sum(nil)
}

// vouch tells whether one of the sealers saw DMARC pass for the author's domain.
// From the newest set down they are believed as long as we trust each: whoever
// lies below a stranger reached us by the stranger's word.
func (v *Verifier) vouch(sets []arcSet, author string) bool {
	for _, set := range slices.Backward(sets) {
		if !slices.Contains(v.sealers, set.seal.domain) {
			return false
		}
		_, report, _ := cutInstance(string(set.report.value()))
		r, ok := readReport(report)
		if !ok {
			continue
		}
		if _, pass := r.dmarc(author); pass {
			return true
		}
	}
	return false
}
