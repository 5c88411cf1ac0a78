package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
)

// Sealer encrypts secrets at rest with AES-256-GCM under keys derived from the
// master secrets: the first seals, all open. It is safe for concurrent use.
type Sealer struct {
	keys []cipher.AEAD
}

// NewSealer makes a Sealer of at least one master secret.
func NewSealer(secrets []string) (*Sealer, error) {
	if len(secrets) == 0 {
		return nil, errors.New("sealing needs a secret")
	}
	s := &Sealer{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "ticketgate sealed column v1", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, aead)
	}
	return s, nil
}

// Seal encrypts plain for one place, such as "dkim_keys|private|ID": what was
// sealed for one row can't be moved to another.
func (s *Sealer) Seal(place string, plain []byte) []byte {
	nonce := make([]byte, s.keys[0].NonceSize())
	_, _ = rand.Read(nonce) // never fails since Go 1.24
	return s.keys[0].Seal(nonce, nonce, plain, []byte(place))
}

// Current tells whether a sealed value opens under the first secret, so that
// the others could be dropped.
func (s *Sealer) Current(place string, sealed []byte) bool {
	_, err := (&Sealer{keys: s.keys[:1]}).Open(place, sealed)
	return err == nil
}

// Open decrypts what Seal made for the same place under any of the secrets.
func (s *Sealer) Open(place string, sealed []byte) ([]byte, error) {
	for _, key := range s.keys {
		if len(sealed) < key.NonceSize() {
			break
		}
		nonce, body := sealed[:key.NonceSize()], sealed[key.NonceSize():]
		if plain, err := key.Open(nil, nonce, body, []byte(place)); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("sealed value of " + place + " opens with none of the secrets")
}
