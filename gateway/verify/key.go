package verify

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
)

// Sizes of RSA keys. Under 1024 bits none may be believed (RFC 8301, 3.2);
// over 8192 checking costs more than a stranger's mail is worth.
const (
	minRSABits  = 1024
	weakRSABits = 1025 // below this a pass is noted as weak
	maxRSABits  = 8192
	maxExponent = 1<<31 - 1
)

// publicKey is a key record, read (RFC 6376, 3.6.1).
type publicKey struct {
	rsa     *rsa.PublicKey // one of the two is set
	ed25519 ed25519.PublicKey
	testing bool // t=y
	exact   bool // t=s: i= must be d=
}

// fetchKey looks the signature's key up and reads it.
func fetchKey(ctx context.Context, dns Lookup, name string) (publicKey, refusal) {
	records, err := dns.TXT(ctx, name)
	if failure, ok := errors.AsType[*net.DNSError](err); ok && !failure.IsTemporary && !failure.IsTimeout {
		if failure.IsNotFound {
			return publicKey{}, malformed("no key in DNS")
		}
		return publicKey{}, malformed("the key record cannot be used")
	}
	switch {
	case err != nil:
		return publicKey{}, refusal{resultTempError, "the key could not be looked up"}
	case len(records) == 0:
		return publicKey{}, malformed("no key in DNS")
	case len(records) > 1:
		return publicKey{}, malformed("several key records") // undefined by RFC 6376, 3.6.2.2
	}
	return readKey(records[0])
}

func readKey(record string) (publicKey, refusal) {
	tags, fault := readTags(record)
	if fault != "" {
		return publicKey{}, malformed("a key record that is malformed")
	}
	flags := splitList(tags.get("t"))
	key := publicKey{testing: slices.Contains(flags, "y"), exact: slices.Contains(flags, "s")}
	switch {
	case tags.has("v") && tags.get("v") != "DKIM1":
		return key, malformed("a key record of an unknown version")
	case !tags.has("p"):
		return key, malformed("a key record without key")
	case squeeze(tags.get("p")) == "":
		return key, malformed("the key was revoked")
	case tags.has("h") && !slices.Contains(splitList(tags.get("h")), "sha256"):
		return key, malformed("the key is not for this hash")
	case tags.has("s") && !forMail(splitList(tags.get("s"))):
		return key, malformed("the key is not for mail")
	}
	return key, key.readMaterial(strings.ToLower(tags.get("k")), squeeze(tags.get("p")))
}

func forMail(services []string) bool {
	return slices.Contains(services, "*") || slices.Contains(services, "email")
}

func (k *publicKey) readMaterial(kind, text string) refusal {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return malformed("a key that is no base64")
	}
	switch kind {
	case "", "rsa":
		return k.readRSA(raw)
	case "ed25519":
		if len(raw) != ed25519.PublicKeySize {
			return malformed("a key of a wrong length")
		}
		k.ed25519 = raw
		return refusal{}
	}
	return malformed("a key of an unknown kind")
}

// readRSA takes both forms that are in use (erratum 3017 of RFC 6376).
func (k *publicKey) readRSA(raw []byte) refusal {
	parsed, err := x509.ParsePKIXPublicKey(raw)
	if err != nil {
		if parsed, err = x509.ParsePKCS1PublicKey(raw); err != nil {
			return malformed("a key that cannot be read")
		}
	}
	key, ok := parsed.(*rsa.PublicKey)
	switch {
	case !ok:
		return malformed("a key that is not RSA")
	case key.N.BitLen() < minRSABits:
		return malformed("the key is too short")
	case key.N.BitLen() > maxRSABits || key.E > maxExponent:
		return malformed("the key is too large")
	}
	k.rsa = key
	return refusal{}
}

// allows checks what the record demands of the signature.
func (k *publicKey) allows(s *signature) refusal {
	switch {
	case (k.rsa != nil) != (s.algorithm == "rsa-sha256"):
		return malformed("the key is for another algorithm")
	case k.exact && s.identity != s.domain:
		return malformed("the key forbids an identity in a subdomain")
	}
	return refusal{}
}

// verifies tells whether sig signs the SHA-256 sum (RFC 6376, 3.3.2;
// RFC 8463, 3).
func (k *publicKey) verifies(sum, sig []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum, sig) == nil
	}
	return ed25519.Verify(k.ed25519, sum, sig)
}

// note is what is to be said about a key that is good enough, or "".
func (k *publicKey) note() string {
	if k.rsa != nil && k.rsa.N.BitLen() < weakRSABits {
		return "weak key of 1024 bits"
	}
	return ""
}
