package outbound

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// The algorithms of a key.
const (
	AlgorithmRSA     = "rsa"     // 2048 bits: what every receiver verifies
	AlgorithmEd25519 = "ed25519" // RFC 8463: beside it
)

// GenerateKey makes a DKIM key, in state new. The private half is returned
// beside it as PKCS #8 DER and is not in k yet: see SealKey. An unknown
// algorithm, or a domain or selector that is no host name, is CodeInvalid.
func GenerateKey(domain, selector, algorithm string) (k store.DKIMKey, private []byte, err error) {
	domain = message.DomainKey(strings.TrimSpace(domain))
	selector = strings.ToLower(strings.TrimSpace(selector))
	switch {
	case !isHostName(domain) || !strings.Contains(domain, "."):
		return k, nil, store.Invalid("domain", "is no domain name")
	case !isHostName(selector):
		return k, nil, store.Invalid("selector", "is no host name: letters, digits, hyphens and dots")
	}
	signer, err := generate(algorithm)
	if err != nil {
		return k, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(signer); err != nil {
		return k, nil, err
	}
	public, err := publicData(signer.Public())
	if err != nil {
		return k, nil, err
	}
	return store.DKIMKey{
		ID: store.NewID(), Domain: domain, Selector: selector, Algorithm: algorithm,
		State: store.DKIMNew, Public: public, CreatedAt: time.Now().UTC(),
	}, private, nil
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case AlgorithmRSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	case AlgorithmEd25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, store.Invalid("algorithm", "is neither rsa nor ed25519")
}

// publicData is the p= of a key record: the SubjectPublicKeyInfo of an RSA key
// (RFC 6376, 3.6.1), the bare 32 octets of an Ed25519 one (RFC 8463, 4.2).
func publicData(key crypto.PublicKey) (string, error) {
	if bare, ok := key.(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(bare), nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	return base64.StdEncoding.EncodeToString(der), err
}

// isHostName tells labels of letters, digits and hyphens, up to 63 octets each
// and 253 in all.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// SealKey puts the private half into k, sealed to its row.
func SealKey(seal *store.Sealer, k *store.DKIMKey, private []byte) {
	k.Private = seal.Seal(keyPlace(k.ID), private)
}

// ResealKey seals the private half of k anew, under the first secret. It is
// false where that is what seals it already.
func ResealKey(seal *store.Sealer, k *store.DKIMKey) (bool, error) {
	if seal.Current(keyPlace(k.ID), k.Private) {
		return false, nil
	}
	private, err := seal.Open(keyPlace(k.ID), k.Private)
	if err != nil {
		return false, err
	}
	SealKey(seal, k, private)
	return true, nil
}

func keyPlace(id string) string { return "dkim_keys|private|" + id }

// openKey gives the private half of k, and refuses one that does not belong to
// its public half.
func openKey(seal *store.Sealer, k store.DKIMKey) (crypto.Signer, error) {
	der, err := seal.Open(keyPlace(k.ID), k.Private)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key of %s: %w", recordName(k), err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of %s can't sign", recordName(k))
	}
	if public, err := publicData(signer.Public()); err != nil || public != k.Public {
		return nil, fmt.Errorf("private key of %s does not belong to its public key", recordName(k))
	}
	return signer, nil
}

func recordName(k store.DKIMKey) string { return k.Selector + "._domainkey." + k.Domain }

func recordValue(k store.DKIMKey) string {
	return "v=DKIM1; k=" + k.Algorithm + "; p=" + k.Public
}

// Record gives the line that publishes k in a zone file (RFC 6376, 3.6.2): the
// name, IN, TXT and the record in quoted strings of at most 255 octets.
func Record(k store.DKIMKey) string {
	var b strings.Builder
	b.WriteString(recordName(k) + ". IN TXT")
	value := recordValue(k)
	for value != "" {
		n := min(255, len(value))
		b.WriteString(` "` + value[:n] + `"`)
		value = value[n:]
	}
	return b.String()
}

// RecordName gives the DNS name that publishes k, without a final dot.
func RecordName(k store.DKIMKey) string { return recordName(k) }

// What CheckRecord finds.
var (
	ErrNoRecord    = errors.New("there is no DKIM record")
	ErrManyRecords = errors.New("there are several DKIM records where one may stand")
	ErrRevoked     = errors.New("the record revokes the key: its p= is empty")
	ErrOtherKey    = errors.New("the record shows another key")
)

// CheckRecord compares the TXT records that DNS shows at RecordName with k.
// Each element of txt is one record, its strings joined. Nil means that
// receivers who look there will verify what k signs; records that are not
// DKIM's are passed over.
func CheckRecord(k store.DKIMKey, txt []string) error {
	var records []map[string]string
	for _, record := range txt {
		if tags := recordTags(record); tags != nil {
			records = append(records, tags)
		}
	}
	switch {
	case len(records) == 0:
		return ErrNoRecord
	case len(records) > 1:
		return ErrManyRecords
	}
	tags := records[0]
	algorithm := tags["k"]
	if algorithm == "" {
		algorithm = AlgorithmRSA // the default of RFC 6376, 3.6.1
	}
	public, err := base64.StdEncoding.DecodeString(tags["p"])
	ours, _ := base64.StdEncoding.DecodeString(k.Public)
	switch {
	case tags["p"] == "":
		return ErrRevoked
	case err != nil || algorithm != k.Algorithm || !bytes.Equal(public, ours):
		return ErrOtherKey
	case !listHas(tags["h"], "sha256"):
		return fmt.Errorf("the record does not allow sha256 (h=)")
	case !listHas(tags["s"], "email"):
		return fmt.Errorf("the record is not for mail (s=)")
	}
	return nil
}

// recordTags reads a tag list (RFC 6376, 3.2); nil where it is no key record.
func recordTags(record string) map[string]string {
	tags := map[string]string{}
	for tag := range strings.SplitSeq(record, ";") {
		name, value, ok := strings.Cut(tag, "=")
		if !ok {
			continue
		}
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	if version, ok := tags["v"]; ok && version != "DKIM1" {
		return nil
	}
	if _, ok := tags["p"]; !ok {
		return nil
	}
	return tags
}

// listHas tells whether a colon-separated list allows word; an empty one and
// the asterisk allow all.
func listHas(list, word string) bool {
	if list == "" {
		return true
	}
	for item := range strings.SplitSeq(list, ":") {
		if item == word || item == "*" {
			return true
		}
	}
	return false
}
