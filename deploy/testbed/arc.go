package testbed

import (
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // the sealer
	"encoding/pem"
	"testing"
)

//go:embed arc.py
var arcProgram string

// ARCSealer is a server that hands mail on.
type ARCSealer struct {
	Domain, Selector string
	// Authserv names the Authentication-Results of the message that go into the set; it
	// is sealed only if there are some.
	Authserv string
	Key      *rsa.PrivateKey
}

// Seal adds one ARC set to a message, by Debian's python3-dkim.
func (s ARCSealer) Seal(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(s.Key)})
	var out struct{ Raw []byte }
	runDKIM(tb, arcProgram, map[string]any{
		"raw": raw, "domain": s.Domain, "selector": s.Selector, "authserv": s.Authserv, "key": string(key),
	}, &out)
	return out.Raw
}

// ARCResult is what an independent verifier says of a chain.
type ARCResult struct {
	Result string `json:"result"` // none, pass or fail
	Reason string `json:"reason"`
}

// VerifyARC checks the ARC chain of a message by Debian's python3-dkim. The keys are TXT
// records by name, as for VerifyDKIM.
func VerifyARC(tb testing.TB, raw []byte, txt map[string]string) ARCResult {
	tb.Helper()
	var out ARCResult
	runDKIM(tb, arcProgram, map[string]any{"raw": raw, "txt": txt}, &out)
	return out
}
