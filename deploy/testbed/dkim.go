package testbed

import (
	"bytes"
	_ "embed" // the verifier
	"encoding/json"
	"os/exec"
	"sync"
	"testing"
)

// DKIMResult is what an independent verifier says of one signature.
type DKIMResult struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	Pass      bool   `json:"pass"`
	Reason    string `json:"reason"` // why it does not pass; empty if it does
}

//go:embed verify_dkim.py
var dkimVerifier string

// VerifyDKIM checks every DKIM signature of a message, from the top one down, by Debian's
// python3-dkim. The keys are TXT records by name, as DNSServer.TXT gives them; the network
// is not asked. A message without a signature has no result.
func VerifyDKIM(tb testing.TB, raw []byte, txt map[string]string) []DKIMResult {
	tb.Helper()
	var results []DKIMResult
	runDKIM(tb, dkimVerifier, map[string]any{"raw": raw, "txt": txt}, &results)
	return results
}

// python is not the first python3 in PATH: Debian's modules belong to Debian's own.
const python = "/usr/bin/python3"

var hasDKIM = sync.OnceValue(func() bool {
	return exec.Command(python, "-I", "-c", "import dkim, nacl, authres").Run() == nil
})

// runDKIM runs a program over python3-dkim: JSON in, JSON out.
func runDKIM(tb testing.TB, program string, given map[string]any, into any) {
	tb.Helper()
	if !hasDKIM() {
		missing(tb, "no python3-dkim (with python3-nacl and python3-authres) here"+install)
	}
	input, err := json.Marshal(given)
	if err != nil {
		tb.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(python, "-I", "-c", program)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		tb.Fatalf("python3-dkim: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(output, into); err != nil {
		tb.Fatalf("python3-dkim: %v in %q", err, output)
	}
}
