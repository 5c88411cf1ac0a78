// Package login checks who an agent is: passwords, one-time codes (RFC 6238) and
// an OpenID Connect provider. It keeps nothing and knows no HTTP of ours.
package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"ticketgate/store"
)

// The bounds of a password: characters at least (NIST SP 800-63B, 3.1.1.1), and
// octets at most, so that a login costs what it costs.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// PasswordFault says in words why a password may not be that of the agent with
// an e-mail address; "" where it may.
func PasswordFault(plain, email string) string {
	switch {
	case utf8.RuneCountInString(plain) < MinPassword:
		return fmt.Sprintf("is too short: at least %d characters", MinPassword)
	case len(plain) > MaxPassword:
		return fmt.Sprintf("is too long: at most %d bytes", MaxPassword)
	case strings.EqualFold(plain, email):
		return "is the address itself"
	}
	return ""
}

// costs are what a hash is made with (RFC 9106, 4).
type costs struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// present are the costs of new hashes: RFC 9106's second choice, 64 MiB and 3
// passes, with one lane, since logins are to be many and short.
var present = costs{memory: 64 << 10, passes: 3, lanes: 1}

const hashBytes = 32

// HashPassword gives the argon2id hash of a password, with its salt and costs,
// in the form $argon2id$v=19$m=...,t=...,p=...$salt$hash. Passwords that look
// the same are the same (RFC 8265, 4.2: NFC).
func HashPassword(plain string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	return hashed{costs: present, salt: salt, sum: present.sum(plain, salt, hashBytes)}.String()
}

// PasswordMatches tells whether a hash that HashPassword made is of this
// password. No hash matches nothing.
func PasswordMatches(hash, plain string) bool {
	h, ok := parseHash(hash)
	return ok && h.matches(plain)
}

func (c costs) sum(plain string, salt []byte, size uint32) []byte {
	return argon2.IDKey(norm.NFC.Bytes([]byte(plain)), salt, c.passes, c.memory, c.lanes, size)
}

// hashed is a hash, taken apart.
type hashed struct {
	costs
	salt, sum []byte
}

func (h hashed) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum))
}

func (h hashed) matches(plain string) bool {
	return subtle.ConstantTimeCompare(h.costs.sum(plain, h.salt, uint32(len(h.sum))), h.sum) == 1
}

// parseHash reads what String wrote; costs that would take the machine down are
// no hash of ours.
func parseHash(text string) (h hashed, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return h, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil ||
		h.passes == 0 || h.passes > 100 || h.lanes == 0 || h.memory > 1<<20 {
		return h, false
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	return h, err1 == nil && err2 == nil && len(h.sum) > 0 && len(h.sum) <= 1024
}

// Passwords hashes and checks, a few at a time: each takes 64 MiB and a core. It
// is safe for concurrent use.
type Passwords struct {
	slots    chan struct{}
	patience time.Duration
}

// NewPasswords makes a Passwords that works on as many at a time as there are
// cores, four at most.
func NewPasswords() *Passwords {
	return &Passwords{slots: make(chan struct{}, min(4, runtime.GOMAXPROCS(0))), patience: 10 * time.Second}
}

// Hash is HashPassword in its turn. An error is unavailable: too many wait.
func (p *Passwords) Hash(ctx context.Context, plain string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	return HashPassword(plain), nil
}

// Check is PasswordMatches in its turn, and tells whether the hash was made with
// other costs than new ones are. It does the same work whatever the hash is, for
// that it is there is nobody's to know. An error is unavailable: too many wait.
func (p *Passwords) Check(ctx context.Context, hash, plain string) (matches, stale bool, err error) {
	if err := p.enter(ctx); err != nil {
		return false, false, err
	}
	defer p.leave()
	h, ok := parseHash(hash)
	if !ok {
		h = hashed{costs: present, salt: make([]byte, 16), sum: make([]byte, hashBytes)}
	}
	matches = h.matches(plain) && ok
	return matches, matches && h.costs != present, nil
}

func (p *Passwords) enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return store.Errorf(store.CodeUnavailable, "too many log-ins at once")
	}
}

func (p *Passwords) leave() { <-p.slots }
