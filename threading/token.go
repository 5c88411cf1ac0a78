package threading

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/google/uuid"
)

// Tokens mints and checks the signed tokens that tie a mail to a ticket. They
// stand in Message-IDs, in plus addresses and in return paths, so they are
// lower-case safe (base32) and short: 45 characters, which leaves 18 of the 64
// octets of a local part (RFC 5321, 4.5.3.1.1) to the account's own name.
//
// A token names an activity (and by it the ticket where that activity lies
// today) or a delivery, carries the id of the key that signed it, and ends in
// 80 bits of HMAC-SHA-256. Tokens is safe for concurrent use.
type Tokens struct {
	keys []tokenKey
}

type tokenKey struct {
	id  byte
	mac []byte
}

// The things that a token can name.
const (
	tokenActivity byte = 0x0a
	tokenDelivery byte = 0x0d
)

const (
	tokenHead   = 2 // what it names, key id
	tokenMAC    = 10
	tokenBytes  = tokenHead + 16 + tokenMAC
	tokenLength = 45 // tokenBytes in base32
)

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewTokens makes Tokens of at least one secret: the first signs, all verify.
func NewTokens(secrets []string) (*Tokens, error) {
	if len(secrets) == 0 {
		return nil, errors.New("tokens need a secret")
	}
	t := &Tokens{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "ticketgate tokens v1", 33)
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, tokenKey{id: key[32], mac: key[:32]})
	}
	return t, nil
}

// Activity gives the token of an activity, whose id is a UUID.
func (t *Tokens) Activity(id string) string { return t.mint(tokenActivity, id) }

// Delivery gives the token of a delivery, whose id is a UUID.
func (t *Tokens) Delivery(id string) string { return t.mint(tokenDelivery, id) }

func (t *Tokens) mint(what byte, id string) string {
	u, err := uuid.Parse(id)
	if err != nil {
		return ""
	}
	body := append([]byte{what, t.keys[0].id}, u[:]...)
	return tokenEncoding.EncodeToString(append(body, t.keys[0].sum(body)...))
}

// activity gives the id of the activity that a valid token names.
func (t *Tokens) activity(token string) (string, bool) { return t.open(tokenActivity, token) }

// delivery gives the id of the delivery that a valid token names.
func (t *Tokens) delivery(token string) (string, bool) { return t.open(tokenDelivery, token) }

func (t *Tokens) open(what byte, token string) (string, bool) {
	if len(token) != tokenLength {
		return "", false
	}
	raw, err := tokenEncoding.DecodeString(strings.ToLower(token))
	if err != nil || len(raw) != tokenBytes || raw[0] != what {
		return "", false
	}
	body, mac := raw[:tokenBytes-tokenMAC], raw[tokenBytes-tokenMAC:]
	for _, key := range t.keys {
		if key.id == raw[1] && hmac.Equal(mac, key.sum(body)) {
			return uuid.UUID(body[tokenHead:]).String(), true
		}
	}
	return "", false
}

func (k tokenKey) sum(body []byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write(body)
	return h.Sum(nil)[:tokenMAC]
}

// LoopMark gives the value of the field that every mail of ours carries: our
// own intake knows it again, whoever sends the mail back to us.
func (t *Tokens) LoopMark(mailID string) string {
	return mailID + "." + tokenEncoding.EncodeToString(t.keys[0].sum([]byte("loop|"+mailID)))
}

// isLoopMark tells whether a field's value is a mark of ours.
func (t *Tokens) isLoopMark(value string) bool {
	id, mac, ok := strings.Cut(strings.TrimSpace(value), ".")
	if !ok || len(id) > 64 {
		return false
	}
	raw, err := tokenEncoding.DecodeString(mac)
	if err != nil {
		return false
	}
	for _, key := range t.keys {
		if hmac.Equal(raw, key.sum([]byte("loop|"+id))) {
			return true
		}
	}
	return false
}

// looksLikeToken tells that an extension has the form of a token of ours, be it
// valid or not.
func looksLikeToken(extension string) bool {
	token := strings.TrimPrefix(strings.ToLower(extension), bouncePrefix)
	raw, err := tokenEncoding.DecodeString(token)
	return err == nil && len(raw) == tokenBytes && (raw[0] == tokenActivity || raw[0] == tokenDelivery)
}

// tokenInMessageID tells that a Message-ID has the form of one of ours.
func tokenInMessageID(id string) bool {
	return len(id) > tokenLength && id[tokenLength] == '.' && looksLikeToken(id[:tokenLength])
}

// inMessageID gives the activity whose token a Message-ID of ours carries:
// its local part begins with the token and a dot.
func (t *Tokens) inMessageID(id string) (string, bool) {
	if len(id) <= tokenLength || id[tokenLength] != '.' {
		return "", false
	}
	return t.activity(id[:tokenLength])
}
