package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"ticketgate/store"
)

// secretPrefix marks a secret of the Standard Webhooks specification.
const secretPrefix = "whsec_"

// keepSecrets is how many secrets a webhook has at most: the one in use and
// those that it takes the place of.
const keepSecrets = 5

// NewSecret makes a secret of 256 bits.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// CheckSecret refuses what the specification doesn't take for a secret: whsec_
// and base64 of 24 to 64 octets.
func CheckSecret(plain string) error {
	text, ok := strings.CutPrefix(plain, secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return errors.New("is no secret: want whsec_ and the base64 of 24 to 64 octets")
	}
	return nil
}

func secretPlace(id string) string { return "webhooks|secret|" + id }

// SealSecret encrypts a secret for the webhook of an id.
func SealSecret(sealer *store.Sealer, id, plain string) store.WebhookSecret {
	return store.WebhookSecret{Sealed: sealer.Seal(secretPlace(id), []byte(plain))}
}

// OpenSecret decrypts a secret of the webhook of an id.
func OpenSecret(sealer *store.Sealer, id string, s store.WebhookSecret) (string, error) {
	plain, err := sealer.Open(secretPlace(id), s.Sealed)
	return string(plain), err
}

// ResealSecrets brings the secrets of a webhook under the first master secret,
// and tells whether that changed anything.
func ResealSecrets(sealer *store.Sealer, w *store.Webhook) (changed bool, err error) {
	fresh := append([]store.WebhookSecret(nil), w.Secrets...)
	for i, s := range fresh {
		if sealer.Current(secretPlace(w.ID), s.Sealed) {
			continue
		}
		plain, err := OpenSecret(sealer, w.ID, s)
		if err != nil {
			return false, err
		}
		fresh[i].Sealed, changed = SealSecret(sealer, w.ID, plain).Sealed, true
	}
	w.Secrets = fresh
	return changed, nil
}

// Rotate puts a new secret in front. The one that was in use goes on signing
// beside it until overlap is over, so that a receiver has time to learn the new
// one.
func Rotate(w *store.Webhook, fresh store.WebhookSecret, now time.Time, overlap time.Duration) {
	kept := []store.WebhookSecret{fresh}
	for _, s := range w.Secrets {
		if s.Until.IsZero() || s.Until.After(now.Add(overlap)) {
			s.Until = now.Add(overlap).UTC()
		}
		if s.Until.After(now) && len(kept) < keepSecrets {
			kept = append(kept, s)
		}
	}
	w.Secrets = kept
}

// NewSecret makes a secret for the webhook of an id, plain and sealed.
func (s *Service) NewSecret(id string) (string, store.WebhookSecret) {
	plain := NewSecret()
	return plain, SealSecret(s.opt.Seal, id, plain)
}
