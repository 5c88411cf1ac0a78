package outbound

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"ticketgate/store"
	"ticketgate/threading/message"
)

const (
	// signatureLife is x= after t=: long enough for a mail that waits at the
	// next hop, too short to be replayed for ever.
	signatureLife = 7 * 24 * time.Hour
	// keyCache is how long the keys of the store are believed unchanged.
	keyCache = time.Second
)

// signedFields are signed, and named once more than they stand, so that one
// added on the way breaks the signature (RFC 6376, 8.15).
var signedFields = []string{
	"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID",
	"In-Reply-To", "References", "MIME-Version", "Content-Type",
}

// Keyring signs mail with the active keys of the store. It is safe for
// concurrent use. A key that is added, activated or retired is noticed within
// about a second.
type Keyring struct {
	keys func(context.Context) ([]store.DKIMKey, error)
	seal *store.Sealer
	now  func() time.Time

	mu      sync.Mutex
	read    time.Time                // when list was read; guarded by mu
	list    []store.DKIMKey          // active ones; guarded by mu
	signers map[string]crypto.Signer // by key id; guarded by mu
}

// NewKeyring makes a Keyring over the keys in db, whose private halves seal
// opens. now may be nil.
func NewKeyring(db *store.DB, seal *store.Sealer, now func() time.Time) *Keyring {
	return newKeyring(func(ctx context.Context) (list []store.DKIMKey, err error) {
		err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			list, err = tx.DKIMKeys(ctx, "")
			return err
		})
		return list, err
	}, seal, now)
}

func newKeyring(keys func(context.Context) ([]store.DKIMKey, error), seal *store.Sealer, now func() time.Time) *Keyring {
	if now == nil {
		now = time.Now
	}
	return &Keyring{keys: keys, seal: seal, now: now, signers: map[string]crypto.Signer{}}
}

// Sign signs raw, a complete message with CRLF line ends, with the newest
// active key of each algorithm of fromDomain, else of its nearest parent that
// has any, and verifies the outcome with the public halves before it returns
// it. A domain without a key gives raw unchanged and 0 signatures: sending
// that is the caller's choice. An error means that there are keys and the mail
// can't be signed with them, unless its code is store.CodeUnavailable.
func (k *Keyring) Sign(ctx context.Context, fromDomain string, raw []byte) (signed []byte, signatures int, err error) {
	keys, err := k.pick(ctx, message.DomainKey(fromDomain))
	if err != nil || len(keys) == 0 {
		return raw, 0, err
	}
	fields := oversigned(raw)
	var head strings.Builder
	for _, key := range keys {
		signer, err := k.signer(key)
		if err != nil {
			return nil, 0, fmt.Errorf("signing: %w", err)
		}
		field, err := sign(raw, key, signer, fields, k.now().Add(signatureLife))
		if err != nil {
			return nil, 0, fmt.Errorf("signing with %s: %w", recordName(key), err)
		}
		head.WriteString(field)
	}
	signed = append([]byte(head.String()), raw...)
	if err := selfVerify(signed, keys); err != nil {
		return nil, 0, fmt.Errorf("verifying our own signature: %w", err)
	}
	return signed, len(keys), nil
}

// sign gives one DKIM-Signature field.
func sign(raw []byte, key store.DKIMKey, signer crypto.Signer, fields []string, expires time.Time) (string, error) {
	s, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: key.Domain, Selector: key.Selector, Signer: signer,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
		HeaderKeys:             fields,
		Expiration:             expires,
	})
	if err != nil {
		return "", err
	}
	_, err = s.Write(raw)
	// Without Close the signer's goroutine would stay for ever.
	if err = errors.Join(err, s.Close()); err != nil {
		return "", err
	}
	return s.Signature(), nil
}

// oversigned lists the fields to sign, each once more than raw has it.
func oversigned(raw []byte) []string {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	count := map[string]int{}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && line[0] != ' ' && line[0] != '\t' {
			count[textproto.CanonicalMIMEHeaderKey(string(name))]++
		}
	}
	var fields []string
	for _, name := range signedFields {
		for range count[textproto.CanonicalMIMEHeaderKey(name)] + 1 {
			fields = append(fields, name)
		}
	}
	return fields
}

// selfVerify does what a receiver does, with the public halves that DNS shows.
func selfVerify(signed []byte, keys []store.DKIMKey) error {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(signed), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, key := range keys {
				if name == recordName(key) {
					return []string{recordValue(key)}, nil
				}
			}
			return nil, fmt.Errorf("no key %s", name)
		},
	})
	if err != nil {
		return err
	}
	if len(results) != len(keys) {
		return fmt.Errorf("%d signatures stand where %d were made", len(results), len(keys))
	}
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	return err
}

// pick chooses the keys for a domain.
func (k *Keyring) pick(ctx context.Context, domain string) ([]store.DKIMKey, error) {
	list, err := k.active(ctx)
	if err != nil {
		return nil, err
	}
	for domain != "" {
		var picked []store.DKIMKey
		for _, algorithm := range []string{AlgorithmRSA, AlgorithmEd25519} {
			if key, ok := newest(list, domain, algorithm); ok {
				picked = append(picked, key)
			}
		}
		if len(picked) > 0 {
			return picked, nil
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return nil, nil
}

func newest(list []store.DKIMKey, domain, algorithm string) (best store.DKIMKey, ok bool) {
	for _, key := range list {
		if key.Domain == domain && key.Algorithm == algorithm && (!ok || key.ActivatedAt.After(best.ActivatedAt)) {
			best, ok = key, true
		}
	}
	return best, ok
}

// active gives the active keys, at most keyCache old. The lock is held over
// the query: whoever waits for it wants the same answer.
func (k *Keyring) active(ctx context.Context) ([]store.DKIMKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := time.Since(k.read); !k.read.IsZero() && age < keyCache {
		return k.list, nil
	}
	all, err := k.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the DKIM keys: %w", err)
	}
	k.list, k.read = nil, time.Now()
	known := map[string]crypto.Signer{}
	for _, key := range all {
		if key.State == store.DKIMActive {
			k.list = append(k.list, key)
			if signer := k.signers[key.ID]; signer != nil {
				known[key.ID] = signer
			}
		}
	}
	k.signers = known
	return k.list, nil
}

// signer opens the private half of a key, once.
func (k *Keyring) signer(key store.DKIMKey) (crypto.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if signer := k.signers[key.ID]; signer != nil {
		return signer, nil
	}
	signer, err := openKey(k.seal, key)
	if err == nil {
		k.signers[key.ID] = signer
	}
	return signer, err
}
